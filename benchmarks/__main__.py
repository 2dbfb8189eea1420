"""`make bench`: everybody's turn, several rounds of it, and then the report; it measures nothing itself."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.contenders import CONTENDERS
from benchmarks.rounds import play
from benchmarks.scale import FAMILIES, FULL, QUICK

PROGRAMS = (*FAMILIES, "replay", "idle")
RESULTS = Path(__file__).parent / "results"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure our speed, and that of peers.")
    parser.add_argument("--quick", action="store_true", help="small programs and one round: does everything work?")
    parser.add_argument("--rounds", type=int, help="everybody's turns; medians are over them (default 3, quick 1)")
    parser.add_argument("--only", metavar="PROGRAM,…", help=f"of {', '.join(PROGRAMS)}")
    parser.add_argument("--peers", metavar="NAME,…", help=f"whose turns, by the start of {', '.join(CONTENDERS)}")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the results go")
    parser.add_argument("--page", type=Path, help="a page of the docs whose tables and plot are to be replaced too")
    given = parser.parse_args()
    scale = QUICK if given.quick else FULL
    names = [name for name in CONTENDERS if not given.peers or name.startswith(tuple(given.peers.split(",")))]
    only = given.only.split(",") if given.only else None
    if unknown := [one for one in only or () if one not in PROGRAMS]:
        parser.error(f"--only: there is no {unknown[0]!r}; there are {', '.join(PROGRAMS)}")
    if not names:
        parser.error(f"--peers: none begins with {given.peers!r}; there are {', '.join(CONTENDERS)}")
    failed = False
    for results in play(names, scale, rounds=given.rounds or (1 if given.quick else 3), only=only):
        report.publish(results, scale, given.results, given.page)  # a run that is broken off leaves its whole rounds
        failed = bool(results.failures)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
