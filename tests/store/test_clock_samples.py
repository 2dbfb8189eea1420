"""A worker's clock follows the database's, and one answer that was late does not move it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from orchestrator.clock import DatabaseClock
from orchestrator.store import database as database_module
from orchestrator.store.database import Database

SECOND_NS = 1_000_000_000


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    with closing(Database(postgres_url)) as database:
        yield database


class Timeline:
    """This process's monotonic clock, read before and after each question: (asked at, answered after), in seconds."""

    def __init__(self, answers: list[float]) -> None:
        self.reads = [at * SECOND_NS for number, took in enumerate(answers) for at in (number * 10, number * 10 + took)]

    def monotonic_ns(self) -> int:
        return int(self.reads.pop(0)) if self.reads else 0

    def time_ns(self) -> int:
        return 0


def test_of_a_few_answers_the_fastest_counts(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Any] = []
    monkeypatch.setattr(database_module, "time", Timeline([4.0, 0.5, 3.0, 6.0, 2.0]))
    monkeypatch.setattr(DatabaseClock, "synchronise", lambda self, now, sent, received: heard.append((sent, received)))

    database.synchronise_clock()

    assert heard == [(10 * SECOND_NS, 10.5 * SECOND_NS)]


def test_one_prompt_answer_is_enough(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    timeline = Timeline([0.001, 5.0])
    monkeypatch.setattr(database_module, "time", timeline)

    database.synchronise_clock()

    assert len(timeline.reads) == 2, "the second was not asked"
