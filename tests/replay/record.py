"""`python -m tests.replay.record NAME` keeps the history of a program for ever; it never overwrites one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.replay.recorded_programs import PROGRAMS

HISTORIES = Path(__file__).parent / "histories"


def record(name: str) -> None:
    play = PROGRAMS[name][1]()
    assert play.ended
    journal = [
        {"key": e.key, "position": e.position, "ended_at": e.ended_at, "result": e.result, "error": e.error}
        for e in play.journal
    ]
    text = json.dumps({"program": name, "journal": journal, "history": play.history()}, indent=1, ensure_ascii=False)
    with (HISTORIES / f"{name}.json").open("x") as file:
        file.write(text + "\n")


if __name__ == "__main__":
    record(sys.argv[1])
