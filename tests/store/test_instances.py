"""Claims: one holder at a time, whose right to write is a fence that only grows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.store import attempts, events, hot, instances, runs, steps, timers
from tests.store.conftest import Store

AtOnce = Callable[..., list[Any]]


def test_an_id_is_given_to_one_instance_of_a_workflow_only(store: Store, at_once: AtOnce) -> None:
    values = {"instance_id": "same", "queue": "default", "params": "{}", "trigger": "api", "ring_at": 0, "now": 0}
    keys = at_once(6, lambda number: store(instances.insert, workflow="orders", **values))
    assert len([key for key in keys if key is not None]) == 1
    assert store(instances.insert, workflow="others", **values) is not None
    assert len(store.rows("SELECT * FROM @instances WHERE workflow = 'orders'")) == 1


def test_of_many_claims_at_once_one_succeeds(store: Store, at_once: AtOnce) -> None:
    pk = store.instance()
    claims = at_once(6, lambda number: store(instances.claim, id=pk, worker=f"w{number}", now=5))
    (won,) = [claim for claim in claims if claim is not None]
    row = store.row(pk)
    assert (row.holder, row.fence, row.status, row.started_at) == (f"w{claims.index(won)}", 1, "running", 5)
    assert (won.fence, won.instance_id, won.params) == (1, row.instance_id, "{}")


def test_the_fence_grows_with_each_claim_and_the_beginning_stays(store: Store) -> None:
    pk = store.instance()
    for fence in (1, 2, 3):
        claim = store(instances.claim, id=pk, worker="w", now=store.now + fence)
        assert (claim.fence, claim.started_at) == (fence, store.now + 1)
        assert store(instances.release, id=pk, fence=fence, wanted=claim.wanted, status="waiting", now=store.now)


def test_of_many_only_those_that_nobody_has_are_claimed_together(store: Store) -> None:
    free, other, held, done, lined, limited = (store.instance() for _ in range(6))
    store(instances.claim, id=held, worker="w1", now=store.now)
    store(instances.set_status, done, "complete", now=store.now)
    store.database.transaction(
        lambda connection: connection.exec_driver_sql(f"UPDATE orchestrator_instances SET place = 1 WHERE id = {lined}")
    )
    store.database.transaction(
        lambda connection: connection.exec_driver_sql(
            f"UPDATE orchestrator_instances SET workflow = 'few' WHERE id = {limited}"
        )
    )
    ids = [limited, other, held, done, lined, free, 10**9]

    def claimed(limits: tuple[str, ...]) -> dict[int, int]:
        rows = store(instances.claim_all, ids=ids, worker="w2", now=store.now, limited=limits)
        return {row.id: row.fence for row in rows}

    assert claimed(("few", "orders")) == {}
    assert claimed(("few",)) == {free: 1, other: 1}
    assert claimed(()) == {limited: 1}
    assert [store.row(pk).holder for pk in (free, other, held, limited)] == ["w2", "w2", "w1", "w2"]


@pytest.mark.parametrize("status", ["paused", "complete", "errored", "terminated"])
def test_what_is_paused_or_has_ended_can_not_be_claimed(store: Store, status: str) -> None:
    pk = store.instance()
    store(instances.set_status, pk, status, now=store.now)
    assert store(instances.claim, id=pk, worker="w", now=store.now) is None


def test_a_pause_that_was_asked_for_survives_the_next_claim_and_its_return(store: Store) -> None:
    pk = store.instance()
    store(instances.set_status, pk, "waitingForPause", now=store.now)
    claim = store(instances.claim, id=pk, worker="w", now=store.now)
    assert claim.status == "waitingForPause"
    store(instances.give_back, id=pk, fence=claim.fence, status="running", ring_at=None)
    assert store.row(pk).status == "waitingForPause"


def test_a_release_fails_when_there_is_news_since_the_last_look(store: Store) -> None:
    pk, fence = store.claimed()
    store(instances.want, pk, ring_at=store.now)
    assert not store(instances.release, id=pk, fence=fence, wanted=0, status="waiting", now=store.now)
    assert store.row(pk).holder == "w1"
    assert store(instances.release, id=pk, fence=fence, wanted=1, status="waiting", now=store.now)
    assert (store.row(pk).holder, store.row(pk).status) == (None, "waiting")


@pytest.mark.parametrize("moved", ["terminate", "restart", "free", "released and claimed", "released"])
def test_who_has_lost_the_fence_can_do_nothing(store: Store, moved: str) -> None:
    pk, fence = store.claimed()
    if moved == "terminate":
        store(instances.terminate, pk, now=store.now, keep_ms=1)
    elif moved == "restart":
        store(runs.restart, pk, now=store.now, ring_at=store.now)
    elif moved == "free":
        assert store(instances.free, id=pk, fence=fence, worker="w1", now=store.now)
    else:
        assert store(instances.release, id=pk, fence=fence, wanted=0, status="waiting", now=store.now)
        if "claimed" in moved:
            store(instances.claim, id=pk, worker="w2", now=store.now)
    before = store.row(pk)
    assert store(instances.fenced, id=pk, fence=fence) is None
    assert store(instances.peek, id=pk, fence=fence) is None
    assert not store(instances.release, id=pk, fence=fence, wanted=before.wanted, status="waiting", now=store.now)
    assert not store(instances.give_back, id=pk, fence=fence, status="running", ring_at=None)
    ended = {"status": "complete", "output": "1", "error": None, "now": store.now, "keep_ms": 1}
    assert not store(instances.finish, id=pk, fence=fence, **ended)
    assert not store(instances.free, id=pk, fence=fence, worker="w1", now=store.now)
    assert store.row(pk) == before


def test_news_for_a_held_instance_is_for_the_holder_and_rings_nobody(store: Store) -> None:
    pk, _ = store.claimed()
    found = store(instances.want, pk, ring_at=store.now)
    assert (found.holder, store.row(pk).wanted, store.row(pk).ring_at) == ("w1", 1, None)
    other = store.instance()
    store(instances.want, other, ring_at=store.now + 7)
    assert (store.row(other).wanted, store.row(other).ring_at) == (1, store.now + 7)


@pytest.mark.parametrize("status", ["paused", "complete", "errored", "terminated"])
def test_news_rings_nobody_for_an_instance_that_is_paused_or_has_ended(store: Store, status: str) -> None:
    pk = store.instance()
    store(instances.set_status, pk, status, now=store.now)
    store(instances.want, pk, ring_at=store.now)
    assert store.row(pk).ring_at is None


def test_only_the_claims_of_the_dead_are_freed(store: Store) -> None:
    dead, alive = store.claimed("dead"), store.claimed("alive")
    (held,) = store(instances.held_by, "dead")
    assert (held.id, held.fence) == dead
    assert store(instances.free, id=held.id, fence=held.fence, worker="dead", now=store.now + 9)
    assert not store(instances.free, id=alive[0], fence=alive[1], worker="dead", now=store.now)
    freed = store.row(dead[0])
    assert (freed.holder, freed.fence, freed.lost, freed.ring_at) == (None, dead[1] + 1, 1, store.now + 9)
    assert store.row(alive[0]).holder == "alive"


def test_a_restart_keeps_the_run_before_and_begins_a_new_one(store: Store) -> None:
    pk, fence = store.claimed()
    store(
        instances.finish,
        id=pk,
        fence=fence,
        status="errored",
        output=None,
        error='{"name":"E"}',
        now=store.now + 5,
        keep_ms=1,
    )
    store(runs.restart, pk, now=store.now + 9, ring_at=store.now + 10)
    row = store.row(pk)
    assert (row.run, row.status, row.error, row.started_at, row.ended_at) == (2, "queued", None, None, None)
    assert (row.holder, row.lost, row.ring_at) == (None, 0, store.now + 10)
    assert store.rows("SELECT run, status, error, ended_at FROM @runs") == [
        (1, "errored", '{"name":"E"}', store.now + 5)
    ]


def test_a_deleted_key_is_never_given_out_again(store: Store) -> None:
    pk = store.instance("same")
    store(instances.delete, pk)
    assert store.instance("same") > pk


def test_deleting_takes_everything_of_one_instance_and_nothing_of_another(store: Store) -> None:
    tables = ("steps", "attempts", "timers", "events", "runs")
    for pk in (store.instance(), store.instance()):
        at = {"instance_id": pk, "key": "k", "position": 1}
        step = dict.fromkeys(hot.COLUMNS) | at | {"run": 1, "attempts": 1, "started_at": 1, "ended_at": 1}
        store(steps.insert, [step])
        store(attempts.insert, [{**at, "run": 1, "attempt": 1, "state": "ready", "queue": "q"}])
        store(timers.insert, [{**at, "kind": "sleep", "queue": "q", "started_at": 1, "due_at": 1, "ring_at": 1}])
        store(events.insert, id=pk, run=1, type="t", payload="1", now=1, consumed_by=None)
        store(runs.restart, pk, now=1, ring_at=1)
    store(instances.delete, pk)
    for table in tables:
        assert [row.instance_id for row in store.rows(f"SELECT instance_id FROM @{table}")] == [pk - 1]


def test_someone_waits_is_true_of_others_in_the_same_queue_only(store: Store) -> None:
    own = store.instance(ring_at=1)
    store.instance(queue="other", ring_at=1)
    store.instance(ring_at=None)
    assert not store(instances.someone_waits, queue="default", id=own)
    store.instance(ring_at=1)
    assert store(instances.someone_waits, queue="default", id=own)
