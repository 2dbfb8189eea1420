"""Attempts with rows of their own: taken by one worker each, reported by that one, and taken away from it by rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from orchestrator.store import attempts, instances
from tests.store.conftest import Store


def ready(store: Store, pk: int, key: str, **values: Any) -> None:
    row = {"instance_id": pk, "run": 1, "key": key, "position": 1, "attempt": 1, "state": "ready", "queue": "default"}
    store(attempts.insert, [{**row, "ring_at": store.now, **values}])


def take(store: Store, pk: int, worker: str = "w1", limit: int = 10, queues: tuple[str, ...] = ("default",)) -> Any:
    return store(attempts.claim_ready, id=pk, worker=worker, queues=queues, limit=limit, now=store.now + 1)


def states(store: Store) -> list[tuple[str, str, str | None]]:
    rows = store.rows("SELECT key, state, worker FROM @attempts ORDER BY id")
    return [(row.key, row.state, row.worker) for row in rows]


def test_ready_steps_are_taken_in_order_as_many_as_asked_for(store: Store) -> None:
    pk, _ = store.claimed()
    for key in "abc":
        ready(store, pk, key)
    assert [row.key for row in take(store, pk, limit=2)] == ["a", "b"]
    assert [row.key for row in take(store, pk, "w2")] == ["c"]
    assert take(store, pk) == []
    assert states(store) == [("a", "running", "w1"), ("b", "running", "w1"), ("c", "running", "w2")]
    assert [row.started_at for row in store.rows("SELECT started_at FROM @attempts")] == [store.now + 1] * 3
    assert [row.ring_at for row in store.rows("SELECT ring_at FROM @attempts")] == [None] * 3


def test_steps_are_put_up_under_the_fence_of_a_holder_and_not_at_all_without_it(store: Store) -> None:
    pk, fence = store.claimed()
    row = {"run": 1, "position": 1, "attempt": 1, "state": "ready", "queue": "default", "ring_at": store.now}
    rows = [{**row, "instance_id": pk, "key": key} for key in "ab"]

    def put_up(fence: int) -> Any:
        return store.database.statement(lambda c: attempts.insert_fenced(c, pk, fence, rows))

    assert put_up(fence - 1) is None
    assert put_up(fence + 1) is None
    assert states(store) == []
    held = put_up(fence)
    assert (held.wanted, held.status) == (0, "running")
    assert states(store) == [("a", "ready", None), ("b", "ready", None)]
    store(lambda connection: connection.exec_driver_sql("UPDATE orchestrator_instances SET holder = NULL"))
    assert put_up(fence) is None, "it has let go"


def test_many_workers_at_once_take_each_step_once(store: Store, at_once: Callable[..., list[Any]]) -> None:
    pk, _ = store.claimed()
    for number in range(30):
        ready(store, pk, f"step {number:02}")
    taken: list[str] = []

    def work(number: int) -> None:
        while rows := take(store, pk, f"w{number}", limit=2):
            taken.extend(row.key for row in rows)

    at_once(5, work)
    assert sorted(taken) == [f"step {number:02}" for number in range(30)]


def test_steps_of_other_queues_instances_and_runs_are_left(store: Store) -> None:
    pk, _ = store.claimed()
    other, _ = store.claimed()
    ready(store, pk, "foreign", queue="gpu")
    ready(store, pk, "old", run=0)
    ready(store, other, "other")
    assert take(store, pk) == []
    assert [row.key for row in take(store, pk, queues=("default", "gpu"))] == ["foreign"]


@pytest.mark.parametrize("status", ["queued", "paused", "waitingForPause", "complete", "errored", "terminated"])
def test_nothing_is_taken_from_an_instance_that_does_not_run(store: Store, status: str) -> None:
    pk = store.instance()
    ready(store, pk, "a")
    store(instances.set_status, pk, status, now=store.now)
    assert take(store, pk) == []
    store(instances.set_status, pk, "waiting", now=store.now)
    assert len(take(store, pk)) == 1


def test_a_report_counts_only_from_the_worker_that_has_the_row(store: Store) -> None:
    pk, _ = store.claimed()
    for key in "ab":
        ready(store, pk, key)
    first, second = take(store, pk, "w1")
    assert not store(attempts.take, first.id, "w2")
    assert not store(attempts.fail, second.id, "w2", error="{}", now=9)
    assert store(attempts.take, first.id, "w1")
    assert store(attempts.fail, second.id, "w1", error='{"name":"E"}', now=9)
    assert states(store) == [("b", "failed", "w1")]
    assert not store(attempts.take, first.id, "w1"), "once"
    assert not store(attempts.take, second.id, "w1"), "what has failed can't succeed any more"


def test_what_was_failed_over_its_workers_head_ignores_the_late_report(store: Store) -> None:
    pk, _ = store.claimed()
    ready(store, pk, "a")
    (row,) = take(store, pk)
    assert store(attempts.fail_running, row.id, error="{}", now=9)
    assert not store(attempts.fail_running, row.id, error="{}", now=10)
    assert not store(attempts.take, row.id, "w1")
    assert store.rows("SELECT state, ended_at, deadline_at FROM @attempts") == [("failed", 9, None)]


def test_a_taken_row_goes_back_under_the_same_number(store: Store) -> None:
    pk, _ = store.claimed()
    ready(store, pk, "a", attempt=3)
    (row,) = take(store, pk)
    assert store(attempts.make_ready, row.id, "w2", ring_at=7) is None
    assert store(attempts.make_ready, row.id, "w1", ring_at=7) == "default"
    assert store.rows("SELECT state, worker, attempt, started_at, ring_at FROM @attempts") == [
        ("ready", None, 3, None, 7)
    ]
    assert store(attempts.make_ready, row.id, "w1", ring_at=7) is None


def test_an_attempt_has_one_number(store: Store) -> None:
    pk, _ = store.claimed()
    ready(store, pk, "a")
    with pytest.raises(DBAPIError):
        ready(store, pk, "a")
    ready(store, pk, "a", attempt=2)
    ready(store, pk, "a", run=2)


def test_a_key_that_was_dropped_is_never_given_out_again(store: Store) -> None:
    pk, _ = store.claimed()
    ready(store, pk, "a")
    (row,) = take(store, pk)
    store(attempts.drop, pk, 1, ["a"])
    ready(store, pk, "b")
    (next_row,) = take(store, pk)
    assert next_row.id > row.id
    assert not store(attempts.take, row.id, "w1"), "a late report must not settle another step"


def test_dropping_keeps_what_has_failed(store: Store) -> None:
    pk, _ = store.claimed()
    ready(store, pk, "a", state="failed", error="{}")
    ready(store, pk, "a", attempt=2)
    ready(store, pk, "b")
    store(attempts.drop, pk, 1, ["a"])
    assert states(store) == [("a", "failed", None), ("b", "ready", None)]
    store(attempts.drop_open, pk)
    assert states(store) == [("a", "failed", None)]


def test_overdue_are_those_that_run_past_their_deadline(store: Store) -> None:
    pk, _ = store.claimed()
    for key in "abc":
        ready(store, pk, key)
    first, second, third = take(store, pk)
    deadlines = [{"id": first.id, "deadline_at": 10}, {"id": second.id, "deadline_at": 11}]
    store(attempts.set_deadlines, deadlines)
    assert [row.key for row in store(attempts.overdue, now=10, limit=9)] == ["a"]
    assert [row.key for row in store(attempts.overdue, now=11, limit=9)] == ["a", "b"]
    assert {row.id for row in store(attempts.of_worker, "w1")} == {first.id, second.id, third.id}
    assert store(attempts.of_worker, "w2") == []


def test_a_pause_either_sees_the_attempt_running_or_keeps_it_from_starting(
    store: Store, at_once: Callable[..., list[Any]]
) -> None:
    for _ in range(15):
        pk = store.instance()
        store(instances.set_status, pk, "waiting", now=store.now)
        ready(store, pk, "a")

        def pause(connection: Any, pk: int) -> int:
            row = instances.lock(connection, pk)
            assert row is not None
            running = attempts.running(connection, pk, row.run)
            instances.set_status(connection, pk, "waitingForPause" if running else "paused", now=1)
            return running

        taken, running = at_once(2, lambda number, pk=pk: len(take(store, pk)) if number == 0 else store(pause, pk))
        assert taken == running
