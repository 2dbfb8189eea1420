"""Journals written by earlier versions of this project still lead today's code to the same commands and the same end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.replay.journal import Entry
from tests.replay.play import Play
from tests.replay.record import HISTORIES
from tests.replay.recorded_programs import PROGRAMS

FILES = sorted(HISTORIES.glob("*.json"))


def load(file: Path) -> tuple[dict[str, Any], list[Entry]]:
    recorded = json.loads(file.read_text())
    return recorded, [Entry(**line) for line in recorded["journal"]]


def replayed(recorded: dict[str, Any], journal: list[Entry]) -> Play:
    workflow, _, payload = PROGRAMS[recorded["program"]]
    return Play(workflow, journal, payload=payload)


def test_every_program_has_a_history() -> None:
    assert {json.loads(file.read_text())["program"] for file in FILES} == set(PROGRAMS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recorded_journal_leads_to_the_recorded_end(file: Path) -> None:
    recorded, journal = load(file)

    assert replayed(recorded, journal).history() == recorded["history"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_beginning_of_a_recorded_journal_asks_for_what_was_asked_for_then(file: Path) -> None:
    recorded, journal = load(file)
    asked = recorded["history"]["asked"]

    for length in range(len(journal)):
        play = replayed(recorded, journal[:length])
        assert play.asked == asked[: len(play.asked)]
        assert not play.ended
        assert play.waits_for
        play.run.close()


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_answers_given_today_write_the_same_journal(name: str) -> None:
    newest = max((load(file) for file in FILES if file.stem.startswith(name)), key=lambda loaded: len(loaded[1]))

    assert PROGRAMS[name][1]().journal == newest[1]
