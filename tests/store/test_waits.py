"""Timers and events: what waits is there once, and what came is taken once, in order."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from orchestrator.store import events, instances, timers
from tests.store.conftest import Store, until_someone_waits_for_a_lock


def timer(pk: int, key: str, due_at: int, **values: Any) -> dict[str, Any]:
    row = {"instance_id": pk, "key": key, "kind": "sleep", "position": 1, "queue": "default", "started_at": 0}
    return {**row, "due_at": due_at, "ring_at": due_at, **values}


def waiter(pk: int, key: str, event_type: str, position: int) -> dict[str, Any]:
    return timer(pk, key, 100, kind="waitForEvent", event_type=event_type, position=position)


def send(store: Store, pk: int, payload: str, type: str = "news", consumed_by: str | None = None) -> None:
    store(events.insert, id=pk, run=1, type=type, payload=payload, now=5, consumed_by=consumed_by)


def test_a_target_is_fixed_when_it_is_first_asked_for(store: Store) -> None:
    pk = store.instance()
    store(timers.insert, [timer(pk, "nap", 100)])
    store(timers.insert, [timer(pk, "nap", 999, kind="timer"), timer(pk, "other", 50)])
    found = {row.key: (row.kind, row.due_at) for row in store(timers.of_instance, pk)}
    assert found == {"nap": ("sleep", 100), "other": ("sleep", 50)}


def test_a_timer_is_gone_once_it_was_deleted_and_others_stay(store: Store) -> None:
    pk, other = store.instance(), store.instance()
    store(timers.insert, [timer(key, name, 1) for key in (pk, other) for name in "ab"])
    store(timers.delete, pk, ["a"])
    assert [row.key for row in store(timers.of_instance, pk)] == ["b"]
    store(timers.delete_all, pk)
    assert [row.key for row in store(timers.of_instance, other)] == ["a", "b"]


def test_while_an_instance_is_paused_nothing_of_it_rings_and_after_it_everything_is_later(store: Store) -> None:
    pk, other = store.instance(), store.instance()
    due_at = store.now + 100_000
    store(timers.insert, [timer(pk, "far", due_at), timer(pk, "near", store.now + 500), timer(other, "own", store.now)])
    store(timers.freeze, pk)
    rung = store(timers.due_to_ring, now=due_at * 2, grace=1000, limit=9)
    assert [row.instance_id for row in rung] == [other]
    store(timers.shift, pk, by=2000, now=store.now + 2000, horizon=10_000)
    shifted = {row.key: (row.due_at, row.ring_at) for row in store.rows("SELECT * FROM @timers WHERE ring_at < 1e14")}
    assert shifted["far"] == (due_at + 2000, due_at + 2000 - 10_000)
    assert shifted["near"] == (store.now + 2500, store.now + 2000), "within the horizon: at once"


def test_a_ring_goes_out_within_the_horizon_and_again_after_the_moment(store: Store) -> None:
    pk = store.instance(queue="slow")
    store(timers.insert, [timer(pk, "nap", store.now + 10_000, ring_at=store.now, queue="slow")])
    (row,) = store(timers.due_to_ring, now=store.now, grace=5000, limit=9)
    assert (row.instance_id, row.queue, row.due_at) == (pk, "slow", store.now + 10_000)
    assert store(timers.due_to_ring, now=store.now + 14_999, grace=5000, limit=9) == []
    assert len(store(timers.due_to_ring, now=store.now + 15_000, grace=5000, limit=9)) == 1
    assert len(store(timers.due_to_ring, now=store.now + 20_000, grace=5000, limit=9)) == 1


def test_events_of_a_type_are_taken_in_order_of_arrival(store: Store) -> None:
    pk, other = store.instance(), store.instance()
    send(store, pk, '"first"')
    send(store, pk, '"taken"', consumed_by="w:0:1")
    send(store, other, '"others"')
    send(store, pk, '"second"')
    send(store, pk, '"another type"', type="noise")
    taken = []
    while (event := store(events.oldest, pk, "news")) is not None:
        taken.append((event.payload, event.created_at))
        store(events.consume, event.id, "w:a:1")
    assert taken == [('"first"', 5), ('"second"', 5)]


def test_the_oldest_wait_of_a_type_is_the_one_asked_for_first(store: Store) -> None:
    pk = store.instance()
    waits = [waiter(pk, "third", "news", 3), waiter(pk, "second", "news", 2), waiter(pk, "first", "noise", 1)]
    store(timers.insert, [*waits, timer(pk, "nap", 5, position=0)])
    found = store(timers.oldest_waiter, pk, "news")
    assert (found.key, found.position) == ("second", 2)
    assert store(timers.oldest_waiter, pk, "unknown") is None


def test_a_restart_drops_what_nobody_has_taken_and_keeps_what_was_taken(store: Store) -> None:
    pk, other = store.instance(), store.instance()
    send(store, pk, "1", consumed_by="w:a:1")
    send(store, pk, "2")
    send(store, other, "3")
    store(events.drop_unread, pk)
    assert [row.payload for row in store.rows("SELECT payload FROM @events ORDER BY id")] == ["1", "3"]


def deliver(connection: Any, pk: int, type: str = "news", closed: Any = ("paused",)) -> Any:
    return events.deliver(
        connection, pk, type=type, payload="1", result='{"payload": 1}', config='{"type": "news"}', now=7, ring_at=9,
        closed=closed,
    )  # fmt: skip


def test_an_event_settles_the_oldest_wait_for_its_type_and_tells_the_instance(store: Store) -> None:
    pk = store.instance(queue="slow")
    store(timers.insert, [waiter(pk, "b", "news", 2), waiter(pk, "a", "news", 1), waiter(pk, "c", "other", 3)])
    assert store(deliver, pk) == ("slow", True)
    assert [row.key for row in store(timers.of_instance, pk)] == ["b", "c"]
    (step,) = store.rows("SELECT * FROM @steps")
    assert (step.instance_id, step.run, step.key, step.position, step.result) == (pk, 1, "a", 1, '{"payload": 1}')
    assert (step.config, step.attempts, step.started_at, step.ended_at, step.worker) == (
        '{"type": "news"}',
        0,
        0,
        7,
        None,
    )
    (event,) = store.rows("SELECT * FROM @events")
    assert (event.run, event.type, event.payload, event.created_at, event.consumed_by) == (1, "news", "1", 7, "a")
    assert (store.row(pk).wanted, store.row(pk).ring_at) == (1, 9)


def test_an_event_that_nobody_waits_for_is_kept_and_no_news(store: Store) -> None:
    pk, paused = store.instance(), store.instance()
    store(instances.set_status, paused, "paused", now=1)
    store(timers.insert, [waiter(pk, "a", "other", 1), timer(pk, "nap", 1), waiter(paused, "a", "news", 1)])
    wanted = store.row(paused).wanted
    assert store(deliver, pk) == store(deliver, paused) == ("default", False)
    assert [row.consumed_by for row in store.rows("SELECT * FROM @events")] == [None, None]
    assert (store.row(pk).wanted, store.row(paused).wanted, store.rows("SELECT * FROM @steps")) == (0, wanted, [])


def test_an_event_for_an_instance_that_is_gone_is_kept_nowhere(store: Store) -> None:
    assert store(deliver, 999) is None
    assert store.rows("SELECT * FROM @events") == []


@pytest.mark.parametrize("alone", [True, False])
def test_an_event_finds_a_wait_that_began_while_it_was_on_its_way(store: Store, alone: bool) -> None:
    send = store.database.statement if alone else store.database.transaction
    pk = store.instance()
    found: list[Any] = []
    late = threading.Thread(target=lambda: found.append(send(lambda connection: deliver(connection, pk))))

    def begin(connection: Any) -> None:
        instances.lock(connection, pk)
        late.start()
        until_someone_waits_for_a_lock(store)
        timers.insert(connection, [waiter(pk, "a", "news", 1)])

    store.database.transaction(begin)
    late.join(30)
    assert found == [("default", True)]
    assert store(timers.of_instance, pk) == []
