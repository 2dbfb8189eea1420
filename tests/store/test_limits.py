"""A statement that takes at most n rows takes n, whichever way the database carries it out.

PostgreSQL may run the subselect of `UPDATE … WHERE id IN (SELECT … LIMIT n FOR UPDATE SKIP LOCKED)` once for each row of the
table, and then it takes n others each time. It does so when it believes the table to be very small, as after an
autovacuum at a quiet moment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from orchestrator.store import attempts, instances, timers
from tests.store.conftest import Store
from tests.store.test_attempts import ready


def _little_is_known_of(store: Store, table: str) -> None:
    """The database looks at the table now, and not again before the test has filled it."""
    store(lambda connection: connection.execute(text(f"ANALYZE orchestrator_{table}")))


def _attempts(store: Store) -> int:
    pk, _ = store.claimed()
    ready(store, pk, "0")
    _little_is_known_of(store, "attempts")
    for number in range(1, 5):
        ready(store, pk, f"{number}")
    return pk


def _claimed_steps(store: Store) -> int:
    pk = _attempts(store)
    _little_is_known_of(store, "instances")
    return len(store(attempts.claim_ready, id=pk, worker="w1", queues=("default",), limit=2, now=store.now))


def _due_attempts(store: Store) -> int:
    _attempts(store)
    return len(store(attempts.due_to_ring, now=store.now, grace=1000, limit=2))


def _instances(store: Store) -> None:
    store.instance(ring_at=store.now)
    _little_is_known_of(store, "instances")
    for _ in range(4):
        store.instance(ring_at=store.now)


def _due_instances(store: Store) -> int:
    _instances(store)
    return len(store(instances.due_to_ring, now=store.now, grace=1000, limit=2))


def _hurried_instances(store: Store) -> Any:
    _instances(store)
    return store(instances.hurry, workflows=["orders"], now=store.now, after=store.now - 1, limit=2)


def _due_timers(store: Store) -> int:
    pk = store.instance()
    row = {"instance_id": pk, "position": 1, "kind": "sleep", "queue": "default"}
    row |= {"started_at": store.now, "due_at": store.now, "ring_at": store.now}
    store(timers.insert, [{**row, "key": "0"}])
    _little_is_known_of(store, "timers")
    store(timers.insert, [{**row, "key": f"{number}"} for number in range(1, 5)])
    return len(store(timers.due_to_ring, now=store.now, grace=1000, limit=2))


@pytest.mark.parametrize("taken", [_claimed_steps, _due_attempts, _due_instances, _hurried_instances, _due_timers])
def test_no_more_rows_are_taken_than_asked_for(store: Store, taken: Callable[[Store], Any]) -> None:
    assert taken(store) == 2
