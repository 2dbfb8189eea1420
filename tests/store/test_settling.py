"""What shared steps have come to is written down once, by whom they belong to, and only while their run goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.store import attempts, settling
from orchestrator.store.schema import steps
from tests.store.conftest import Store
from tests.store.test_attempts import ready, states


def taken(store: Store, keys: str, worker: str = "w1") -> tuple[int, list[int]]:
    """An instance with steps that a worker runs: its key, and those of their rows."""
    pk, _ = store.claimed()
    for key in keys:
        ready(store, pk, key)
    rows = store(attempts.claim_ready, **claim(store, pk, worker, limit=len(keys)))
    return pk, [row.id for row in rows]


def claim(store: Store, pk: int, worker: str = "w1", limit: int = 10) -> dict[str, Any]:
    return attempts.claiming(id=pk, worker=worker, queues=["default"], limit=limit, now=store.now + 1)


def line(pk: int, key: str, **values: Any) -> dict[str, Any]:
    row = {"instance_id": pk, "run": 1, "key": key, "position": 1, "result": "{}", "error": None, "config": None}
    return {**row, "attempts": 1, "started_at": 1, "ended_at": 2, "worker": "w1", **values}


def test_what_has_succeeded_is_removed_and_what_is_ready_is_claimed(store: Store) -> None:
    pk, ids = taken(store, "ab")
    ready(store, pk, "c")
    ready(store, pk, "d")
    row, closed, claimed = store(settling.begin, pk, ids[:1], "w1", claim=claim(store, pk, limit=1))
    assert (row.id, row.holder) == (pk, "w1")
    assert closed == {ids[0]}
    assert [(found.key, found.attempt) for found in claimed] == [("c", 1)]
    assert states(store) == [("b", "running", "w1"), ("c", "running", "w1"), ("d", "ready", None)]
    assert store(settling.begin, pk, ids[:1], "w1", claim=None)[1:] == (set(), []), "once"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE @attempts SET worker = 'w2'",
        "UPDATE @attempts SET state = 'failed'",
        "UPDATE @instances SET run = 2",
        "UPDATE @instances SET status = 'terminated'",
    ],
)
def test_what_is_no_longer_the_workers_or_of_a_run_that_is_over_is_left(store: Store, change: str) -> None:
    pk, ids = taken(store, "a")
    store(lambda connection: connection.exec_driver_sql(change.replace("@", "orchestrator_")))
    before = states(store)
    row, closed, claimed = store(settling.begin, pk, ids, "w1", claim=None)
    assert row is not None
    assert (closed, claimed) == (set(), [])
    assert states(store) == before


def test_an_instance_that_is_gone_has_nothing(store: Store) -> None:
    pk, ids = taken(store, "a")
    store(lambda connection: connection.exec_driver_sql("DELETE FROM orchestrator_instances"))
    assert store(settling.begin, pk, ids, "w1", claim=claim(store, pk)) == (None, set(), [])


def test_results_come_to_the_journal_as_they_are_and_the_holder_is_told(store: Store) -> None:
    pk, _ = store.claimed()
    odd = '{"text": "\\\\u0000 \\" \\\\ \U0001f642", "number": 12345678901234567890}'
    rows = [line(pk, "a", result=odd), line(pk, "b", result=None, error='{"name": "E"}', config="{}", ended_at=2**62)]
    store(settling.finish, pk, rows, ring_at=store.now + 5)
    names = [column.name for column in steps.columns if column.name != "seq"]
    assert [dict(found._mapping) for found in store.rows(f"SELECT {', '.join(names)} FROM @steps ORDER BY seq")] == rows
    assert (store.row(pk).wanted, store.row(pk).ring_at) == (1, None)


def test_without_a_holder_somebody_is_to_be_rung(store: Store) -> None:
    pk = store.instance()
    store(settling.finish, pk, [], ring_at=store.now + 5)
    assert (store.row(pk).wanted, store.row(pk).ring_at) == (1, store.now + 5)
    assert store.rows("SELECT * FROM @steps") == []


def test_workers_that_settle_at_once_claim_each_step_once(store: Store, at_once: Callable[..., list[Any]]) -> None:
    pk, _ = store.claimed()
    for number in range(40):
        ready(store, pk, f"step {number:02}")
    ended: list[str] = []

    def work(number: int) -> None:
        worker, mine = f"w{number}", []
        while True:
            done = {row.id: row.key for row in mine}
            _, closed, mine = store(settling.begin, pk, list(done), worker, claim=claim(store, pk, worker, limit=2))
            ended.extend(done[id] for id in closed)
            if not (done or mine):
                return

    at_once(5, work)
    assert sorted(ended) == [f"step {number:02}" for number in range(40)]
    assert states(store) == []
