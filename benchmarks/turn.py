"""One turn of one contender, in a process of its own, so that no engine pays for what another left behind."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import traceback
from dataclasses import asdict
from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.engine import Place
from benchmarks.scale import FULL, QUICK


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.turn", description=__doc__)
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--families", required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--postgres-url", required=True)
    parser.add_argument("--valkey-url", required=True)
    given = parser.parse_args()
    _allow_many_connections()
    place = Place(given.directory, given.postgres_url, given.valkey_url)
    contender = CONTENDERS[given.contender]
    try:
        for measured in contender.turn(place, QUICK if given.quick else FULL, given.families.split(",")):
            print(json.dumps(asdict(measured)), flush=True)
    except Exception:  # noqa: BLE001 - whatever went wrong in this turn, the others go on
        traceback.print_exc()
        return 1
    return 0


def _allow_many_connections() -> None:
    """For this process and those it starts: a client that holds a request for each sleeping workflow needs thousands."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main())
