"""What shared steps have come to is written down once, by whom they belong to, and only while their run goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection

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


def settle(
    store: Store, pk: int, done: list[tuple[int, dict[str, Any]]] | None = None, **asked: Any
) -> settling.Settled:
    worker = asked.pop("worker", "w1")
    asked = {"runs": [1], "ring_at": store.now + 5, **asked}
    return store.database.statement(
        lambda connection: settling.settle(connection, pk, worker, done=done or [], **asked)
    )


def journal(store: Store) -> list[str]:
    return [row.key for row in store.rows("SELECT key FROM @steps ORDER BY seq")]


def test_what_has_succeeded_comes_to_the_journal_and_what_is_ready_is_claimed(store: Store) -> None:
    pk, (a, _) = taken(store, "ab")
    ready(store, pk, "c")
    ready(store, pk, "d")
    settled = settle(store, pk, [(a, line(pk, "a"))], claim=claim(store, pk, limit=1))
    assert settled.instance is not None
    assert (settled.instance.id, settled.instance.holder, settled.instance.wanted) == (pk, "w1", 0)
    assert settled.attempts == {a}
    assert [(found.key, found.attempt) for found in settled.claimed] == [("c", 1)]
    assert states(store) == [("b", "running", "w1"), ("c", "running", "w1"), ("d", "ready", None)]
    assert journal(store) == ["a"]
    again = settle(store, pk, [(a, line(pk, "a"))])
    assert (again.attempts, again.claimed, journal(store)) == (set(), [], ["a"]), "once"


def test_what_has_failed_is_noted_with_its_error(store: Store) -> None:
    pk, (a, b) = taken(store, "ab")
    odd = '{"message": "\\u0000 \\" \U0001f642"}'
    settled = settle(store, pk, [(a, line(pk, "a"))], failed=[(b, odd, store.now + 2)])
    assert settled.attempts == {a, b}
    assert [tuple(row) for row in store.rows("SELECT key, state, error, ended_at, deadline_at FROM @attempts")] == [
        ("b", "failed", odd, store.now + 2, None)
    ]
    assert journal(store) == ["a"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE @attempts SET worker = 'w2'",
        "UPDATE @attempts SET state = 'ready'",
        "UPDATE @instances SET run = 2",
        "UPDATE @instances SET status = 'terminated'",
    ],
)
def test_what_is_no_longer_the_workers_or_of_a_run_that_is_over_is_left(store: Store, change: str) -> None:
    pk, (a, b) = taken(store, "ab")
    store(lambda connection: connection.exec_driver_sql(change.replace("@", "orchestrator_")))
    before, row = states(store), store.row(pk)
    settled = settle(store, pk, [(a, line(pk, "a"))], failed=[(b, "{}", store.now)])
    assert settled.instance is not None
    assert (settled.attempts, settled.claimed) == (set(), [])
    assert (states(store), journal(store)) == (before, [])
    assert store.row(pk).wanted == row.wanted + ("instances" not in change), "who has it is told, if the run goes on"


def test_an_instance_that_is_gone_has_nothing(store: Store) -> None:
    pk, (a,) = taken(store, "a")
    store(lambda connection: connection.exec_driver_sql("DELETE FROM orchestrator_instances"))
    settled = settle(store, pk, [(a, line(pk, "a"))], claim=claim(store, pk))
    assert (settled.instance, settled.attempts, settled.claimed) == (None, set(), [])
    assert journal(store) == []


def test_results_come_to_the_journal_as_they_are_and_in_their_order(store: Store) -> None:
    pk, ids = taken(store, "abc")
    odd = '{"text": "\\\\u0000 \\" \\\\ \U0001f642", "number": 12345678901234567890}'
    rows = [
        line(pk, "c", result=odd),
        line(pk, "a", result=None, error='{"name": "E"}', config="{}", ended_at=2**62),
        line(pk, "b"),
    ]
    settled = settle(store, pk, list(zip([ids[2], ids[0], ids[1]], rows, strict=True)))
    names = [column.name for column in steps.columns if column.name != "seq"]
    assert [dict(found._mapping) for found in store.rows(f"SELECT {', '.join(names)} FROM @steps ORDER BY seq")] == rows
    assert settled.seq == store.rows("SELECT max(seq) AS seq FROM @steps")[0].seq
    assert (store.row(pk).wanted, store.row(pk).ring_at) == (1, None)


def test_many_that_are_settled_at_once_keep_their_order(store: Store) -> None:
    keys = [f"step {number:03}" for number in range(300)]
    pk, _ = store.claimed()
    for key in keys:
        ready(store, pk, key)
    ids = {row.key: row.id for row in store(attempts.claim_ready, **claim(store, pk, limit=300))}
    shuffled = sorted(keys, key=lambda key: int(key[-3:]) * 7919 % 300)
    done = [(ids[key], line(pk, key)) for key in shuffled]

    def work(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":  # so that it would rather go through them by their ids
            connection.exec_driver_sql("SET LOCAL enable_hashjoin = off; SET LOCAL enable_nestloop = off")
        settling.settle(connection, pk, "w1", runs=[1], done=done, ring_at=store.now)

    store(work)
    assert journal(store) == shuffled != keys


def test_a_holder_that_settles_itself_is_not_told_and_others_are(store: Store) -> None:
    pk, ids = taken(store, "abc")
    fence = store.row(pk).fence
    own = settle(store, pk, [(ids[0], line(pk, "a"))], fence=fence)
    assert own.instance is not None
    assert (own.attempts, own.instance.fence, store.row(pk).wanted) == ({ids[0]}, fence, 0)
    settle(store, pk, [(ids[1], line(pk, "b"))], fence=fence - 1)
    assert store.row(pk).wanted == 1, "another holds it by now"
    store(lambda connection: connection.exec_driver_sql("UPDATE orchestrator_instances SET holder = NULL"))
    settle(store, pk, [(ids[2], line(pk, "c"))], fence=fence)
    assert (store.row(pk).wanted, store.row(pk).ring_at) == (2, store.now + 5), "nobody holds it any more"
    assert journal(store) == ["a", "b", "c"]


def test_without_a_holder_somebody_is_to_be_rung(store: Store) -> None:
    pk = store.instance()
    settle(store, pk)
    assert (store.row(pk).wanted, store.row(pk).ring_at) == (1, store.now + 5)
    assert journal(store) == []


def test_what_is_of_another_run_tells_nobody(store: Store) -> None:
    pk, _ = store.claimed()
    settle(store, pk, runs=[2, 3])
    assert store.row(pk).wanted == 0


def test_workers_that_settle_at_once_claim_each_step_once(store: Store, at_once: Callable[..., list[Any]]) -> None:
    pk, _ = store.claimed()
    for number in range(40):
        ready(store, pk, f"step {number:02}")
    ended: list[str] = []

    def work(number: int) -> None:
        worker = f"w{number}"
        mine: list[Any] = []
        while True:
            done = {row.id: row.key for row in mine}
            rows = [(id, line(pk, key)) for id, key in done.items()]
            settled = settle(store, pk, rows, worker=worker, claim=claim(store, pk, worker, limit=2))
            ended.extend(done[id] for id in settled.attempts)
            mine = list(settled.claimed)
            if not (done or mine):
                return

    at_once(5, work)
    assert sorted(ended) == sorted(journal(store)) == [f"step {number:02}" for number in range(40)]
    assert states(store) == []


def test_what_is_handed_back_at_the_same_moment_is_either_settled_or_for_others(
    store: Store, at_once: Callable[..., list[Any]]
) -> None:
    """Whoever hands a step back does not lock its instance."""
    pk, ids = taken(store, "abcdefghijklmnopqrstuvwxyz")
    keys = dict(zip(ids, "abcdefghijklmnopqrstuvwxyz", strict=True))
    settled: list[int] = []

    def work(number: int) -> None:
        for id in ids:
            if number:
                store(attempts.make_ready, id, "w1", ring_at=store.now)
            else:
                settled.extend(settle(store, pk, [(id, line(pk, keys[id]))]).attempts)

    at_once(2, work)
    assert sorted(journal(store) + [key for key, *_ in states(store)]) == sorted(keys.values())
    assert [keys[id] for id in settled] == journal(store)
