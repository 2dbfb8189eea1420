"""What the pump asks of the store: what is due, each thing given to one of any number of pumps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.store import agenda, attempts, instances, timers, workers, workflows
from tests.store.conftest import Store

AtOnce = Callable[..., list[Any]]


def due_instances(store: Store, count: int) -> None:
    for _ in range(count):
        store.instance(ring_at=store.now)


def due_timers(store: Store, count: int) -> None:
    pk = store.instance()
    row = {"instance_id": pk, "kind": "sleep", "position": 1, "queue": "default", "started_at": 0}
    store(timers.insert, [{**row, "key": f"nap {n}", "due_at": store.now, "ring_at": store.now} for n in range(count)])


def due_attempts(store: Store, count: int) -> None:
    pk = store.instance()
    row = {"instance_id": pk, "run": 1, "position": 1, "attempt": 1, "state": "ready", "queue": "default"}
    store(attempts.insert, [{**row, "key": f"do {n}", "ring_at": store.now} for n in range(count)])


@pytest.mark.parametrize(
    ("fill", "table"),
    [(due_instances, instances), (due_timers, timers), (due_attempts, attempts)],
    ids=lambda x: x.__name__,
)
def test_several_pumps_at_once_get_each_due_row_once(store: Store, at_once: AtOnce, fill: Any, table: Any) -> None:
    fill(store, 40)

    def pump(number: int) -> int:
        got = 0
        while rows := store(table.due_to_ring, now=store.now, grace=5000, limit=7):
            assert len(rows) <= 7
            got += len(rows)
        return got

    assert sum(at_once(4, pump)) == 40
    assert store(table.due_to_ring, now=store.now, grace=5000, limit=99) == []


def test_an_instance_that_nobody_claims_is_rung_for_more_and_more_rarely(store: Store) -> None:
    pk = store.instance(ring_at=store.now)
    rung_at, now = [], store.now
    for _ in range(7):
        (row,) = store(instances.due_to_ring, now=now, grace=1000, limit=9)
        assert (row.id, row.queue) == (pk, "default")
        rung_at.append(now - store.now)
        now = store.row(pk).ring_at
        assert store(instances.due_to_ring, now=now - 1, grace=1000, limit=9) == []
    assert rung_at == [0, 1000, 3000, 6000, 10_000, 22_000, 34_000]
    store(instances.claim, id=pk, worker="w", now=now)
    assert (store.row(pk).ring_at, store.row(pk).rings) == (None, 0)


def test_the_agenda_says_when_each_kind_of_work_is_next_due(store: Store) -> None:
    with store.database.read() as connection:
        assert set(agenda.upcoming(connection)) == {None}
    pk = store.instance(ring_at=50)
    store.instance(ring_at=40)
    row = {"instance_id": pk, "kind": "sleep", "position": 1, "queue": "q", "started_at": 0, "due_at": 9}
    store(timers.insert, [{**row, "key": "a", "ring_at": 30}, {**row, "key": "b", "ring_at": None}])
    row = {"instance_id": pk, "run": 1, "key": "k", "position": 1, "queue": "q"}
    store(attempts.insert, [{**row, "attempt": 1, "state": "ready", "ring_at": 20, "deadline_at": 1}])
    store(attempts.insert, [{**row, "attempt": 2, "state": "running", "deadline_at": 10}])
    store(workers.beat, id="w2", now=8, info="{}")
    store(workers.beat, id="w1", now=7, info="{}")
    with store.database.read() as connection:
        due = agenda.upcoming(connection)
    assert (due.instances, due.timers, due.ready, due.deadlines, due.heartbeats) == (40, 30, 20, 10, 7)


def test_a_worker_is_dead_when_its_last_heartbeat_is_too_old_and_not_before(store: Store) -> None:
    store(workers.beat, id="old", now=10, info="{}")
    store(workers.beat, id="new", now=20, info="{}")
    assert store(workers.dead, before=10) == []
    assert store(workers.dead, before=11) == ["old"]
    store(workers.beat, id="old", now=30, info="{}")
    assert store(workers.dead, before=30) == ["new"]
    store(workers.remove, "new")
    assert [(row.id, row.started_at, row.heartbeat_at) for row in store(workers.all_)] == [("old", 10, 30)]


def test_a_workflow_is_registered_once_and_shown_as_it_was_last_seen(store: Store) -> None:
    for now, queue in ((1, "default"), (9, "slow")):
        store(workflows.register, name="orders", class_name="Orders", module=f"shop{now}", queue=queue, now=now)
    assert store(workflows.queues) == {"orders": "slow"}
    assert store.rows("SELECT name, module, created_at, seen_at FROM @workflows") == [("orders", "shop9", 1, 9)]


def test_what_nobody_answers_for_a_month_is_still_rung_for(store: Store) -> None:
    """The count of its rings is a small number."""
    store.instance(ring_at=store.now)
    store.database.statement(lambda c: c.exec_driver_sql("UPDATE orchestrator_instances SET rings = 32767"))

    (row,) = store(instances.due_to_ring, now=store.now, grace=1000, limit=9)
    assert row.rings == 32_767
