"""What is read of an instance without a snapshot: a step that is settled meanwhile may be seen twice, and never not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection

from orchestrator.store import missed, steps, timers
from orchestrator.store.sql import Statement
from tests.store.conftest import Store
from tests.store.test_settling import line, settle, taken

Read = Callable[[Connection, int, int], missed.Missed | None]


def _alone(connection: Connection, pk: int, fence: int) -> missed.Missed | None:
    return missed.read(connection, fence=fence, id=pk, run=1, after=0)


def _among_others(connection: Connection, pk: int, fence: int) -> missed.Missed | None:
    return missed.read_all(connection, [(pk, fence, 0)]).get(pk)


@pytest.mark.parametrize("between", [1, 2])
@pytest.mark.parametrize("read", [_alone, _among_others])
def test_a_step_that_is_settled_meanwhile_is_found(
    store: Store, monkeypatch: pytest.MonkeyPatch, read: Read, between: int
) -> None:
    pk, ids = taken(store, "a")
    fence = store.row(pk).fence

    def end() -> None:
        settle(store, pk, [(ids[0], line(pk, "a"))])

    found = _read_with(store, monkeypatch, read, pk, fence, between, end)

    assert "a" in {row.key for row in [*found.attempts, *found.journal]}


@pytest.mark.parametrize("between", [1, 2])
@pytest.mark.parametrize("read", [_alone, _among_others])
def test_a_sleep_that_ends_meanwhile_is_found(
    store: Store, monkeypatch: pytest.MonkeyPatch, read: Read, between: int
) -> None:
    pk, fence = store.claimed()
    row = {"instance_id": pk, "key": "nap", "position": 1, "kind": "sleep", "queue": "default"}
    store(timers.insert, [{**row, "started_at": store.now, "due_at": store.now, "ring_at": store.now}])

    def fire() -> None:
        store(lambda connection: connection.exec_driver_sql("DELETE FROM orchestrator_timers"))
        store(steps.insert, [line(pk, "nap")])

    found = _read_with(store, monkeypatch, read, pk, fence, between, fire)

    assert "nap" in {row.key for row in [*found.timers, *found.journal]}


def _read_with(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    read: Read,
    pk: int,
    fence: int,
    between: int,
    work: Callable[[], None],
) -> missed.Missed:
    """What is read if that happens after the first or the second of the three statements, whatever they are."""

    def one_after_another(connection: Connection, *asked: tuple[Statement, dict[str, Any]]) -> list[Any]:
        answers = []
        for number, (statement, values) in enumerate(asked):
            if number == between:
                work()
            answers.append(statement(connection, values))
        return answers

    monkeypatch.setattr(missed, "together", one_after_another)
    with store.database.read() as connection:
        found = read(connection, pk, fence)
    assert found is not None
    return found
