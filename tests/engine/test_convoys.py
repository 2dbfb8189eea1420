"""Instances that are due at one moment are woken by one message and go on in step, each as if it were alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.client import Instance
from orchestrator.doorbell import Ring
from orchestrator.engine import convoy, pump
from orchestrator.engine.activation import LEAST_TURNS
from orchestrator.engine.claims import Taken
from orchestrator.engine.convoy import advance_among, advance_together
from orchestrator.engine.local import answer
from orchestrator.engine.supervisor import Supervisor
from orchestrator.errors import DatabaseUnavailable, InstanceErrored
from orchestrator.store import instances, missed
from tests.engine.bench import Bench, Bodies

MANY = 12


def sleeper(bodies: Bodies, colour: str = "async", *, plain: bool = False) -> type[WorkflowEntrypoint[Any]]:
    """Sleeps, then has a step of its own number, then comes to its end or fails."""

    class Sleeper(WorkflowEntrypoint):
        name = "sleeper"

        async def run(self, event: Any, step: Any) -> Any:
            n = event.payload["n"]

            async def awake() -> int:
                bodies.ran.append(f"awake {n}")
                return int(n)

            def awake_def() -> int:
                bodies.ran.append(f"awake {n}")
                return int(n)

            await step.sleep("nap", "1 hour")
            if event.payload.get("breaks"):
                raise ValueError("broken")
            return await step.do("awake", awake if colour == "async" else awake_def)

    class PlainSleeper(WorkflowEntrypoint):
        name = "sleeper"

        def run(self, event: Any, step: Any) -> Any:
            step.sleep("nap", "1 hour")
            return step.do("awake", bodies(f"awake {event.payload['n']}", lambda: event.payload["n"]))

    return PlainSleeper if plain else Sleeper


def counting(bodies: Bodies) -> type[WorkflowEntrypoint[Any]]:
    """Has a step before its sleep."""

    class Counting(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            before = await step.do("before", bodies("before"))
            await step.sleep("nap", "1 hour")
            return [before, event.payload["n"]]

    return Counting


def stepping(steps: int) -> type[WorkflowEntrypoint[Any]]:
    """Has so many steps, one after another."""

    class Stepping(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> int:
            async def one() -> int:
                return 1

            return sum([await step.do("one", one) for _ in range(steps)])

    return Stepping


def asleep(bench: Bench, workflow: type[WorkflowEntrypoint[Any]], **more: Any) -> list[Instance]:
    found = [bench.create(workflow, {"n": n, **more}) for n in range(MANY)]
    bench.work()
    return found


def messages(bench: Bench) -> list[Ring]:
    found = []
    while (ring := bench.doorbell.due()) is not None:
        found.append(ring)
    return found


def due(bench: Bench) -> list[Ring]:
    """The messages that come at the moment at which they are due."""
    bench.clock.advance("3590 seconds")
    pump.tick(bench.runtime)
    bench.clock.advance("10 seconds")
    return messages(bench)


@pytest.mark.parametrize("hot", [True, False])
@pytest.mark.parametrize(("colour", "plain"), [("async", False), ("def", False), ("def", True)])
def test_one_message_wakes_all_that_are_due_together(
    bench: Bench, bodies: Bodies, colour: str, plain: bool, hot: bool
) -> None:
    naps = asleep(bench, sleeper(bodies, colour, plain=plain))
    if not hot:
        bench.restart_process()
    rings = due(bench)
    assert [1 + len(ring.others) for ring in rings] == [MANY]
    answer(bench.runtime, rings[0])
    bench.work()
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))
    assert sorted(bodies.ran) == sorted(f"awake {n}" for n in range(MANY))
    assert bench.rows("SELECT 1 FROM @timers") == []
    assert bench.runtime.holding == {}


def test_a_message_that_comes_twice_or_to_two_workers_at_once_runs_nothing_twice(bench: Bench, bodies: Bodies) -> None:
    naps = asleep(bench, sleeper(bodies))
    (ring,) = due(bench)
    other = bench.worker(registry=bench.registry)
    threads = [threading.Thread(target=answer, args=(runtime, ring)) for runtime in (bench.runtime, other, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.settle()
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))
    assert sorted(bodies.ran) == sorted(f"awake {n}" for n in range(MANY))


def test_each_comes_to_its_own_end(bench: Bench, bodies: Bodies) -> None:
    workflow = sleeper(bodies)
    good, bad, gone, paused, deleted = (bench.create(workflow, {"n": n, "breaks": n == 1}) for n in range(5))
    bench.work()
    (ring,) = due(bench)
    gone.terminate()
    paused.pause()
    bench.work()
    deleted.delete()
    answer(bench.runtime, ring)
    bench.work()
    assert good.result(timeout=0) == 0
    with pytest.raises(InstanceErrored, match="broken"):
        bad.result(timeout=0)
    assert (gone.status().status, paused.status().status) == ("terminated", "paused")
    paused.resume()
    bench.work()
    assert paused.result(timeout=0) == 3
    assert sorted(bodies.ran) == ["awake 0", "awake 3"]


def test_those_of_one_message_are_claimed_and_read_together(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps = asleep(bench, sleeper(bodies))
    (ring,) = due(bench)

    def alone(*_: Any, **__: Any) -> Any:
        raise AssertionError("claimed or read alone")

    monkeypatch.setattr(instances, "claim", alone)
    monkeypatch.setattr(missed, "read", alone)
    answer(bench.runtime, ring)
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))


def once_read_together(monkeypatch: pytest.MonkeyPatch, then: Callable[[], object]) -> None:
    """Something happens after they were read together, before any of them goes on."""
    together = missed.read_all

    def read_all(*args: Any) -> Any:
        found = together(*args)
        then()
        return found

    monkeypatch.setattr(missed, "read_all", read_all)


def test_what_comes_after_they_were_read_together_is_heard(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps = asleep(bench, sleeper(bodies))
    (ring,) = due(bench)

    def then() -> None:
        naps[1].pause()
        naps[2].terminate()
        naps[3].restart()

    once_read_together(monkeypatch, then)
    answer(bench.runtime, ring)
    bench.work()
    assert [nap.status().status for nap in naps[:4]] == ["complete", "paused", "terminated", "waiting"]
    assert naps[4].result(timeout=0) == 4
    naps[1].resume()
    bench.after("1 hour")
    assert [naps[n].result(timeout=0) for n in (1, 3)] == [1, 3]
    assert sorted(bodies.ran) == sorted(f"awake {n}" for n in range(MANY) if n != 2)


def test_where_they_can_not_be_read_together_each_reads_for_itself(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps = asleep(bench, sleeper(bodies))
    (ring,) = due(bench)

    def away(*_: Any) -> Any:
        raise DatabaseUnavailable("gone for a moment")

    monkeypatch.setattr(missed, "read_all", away)
    answer(bench.runtime, ring)
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))


def test_one_that_went_on_here_since_it_was_read_is_read_anew(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function that was kept of it is gone by the time it is taken up: what it would have missed is not enough."""
    naps = asleep(bench, counting(bodies))
    (ring,) = due(bench)
    once_read_together(monkeypatch, lambda: bench.runtime.hot.take(naps[2]._pk, 1))
    answer(bench.runtime, ring)
    assert [nap.result(timeout=0) for nap in naps] == [["before", n] for n in range(MANY)]


def drive(bench: Bench, members: Sequence[Instance]) -> None:
    """A convoy on this thread, which others may join as they like."""
    with bench.runtime.crowd.at_work():
        convoy.Convoy(bench.runtime, [Taken(instance._pk) for instance in members]).run()


def test_one_that_was_rung_for_twice_is_begun_once(bench: Bench, bodies: Bodies) -> None:
    naps = asleep(bench, sleeper(bodies))
    due(bench)
    drive(bench, [*naps, *naps])
    bench.settle()
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))
    assert sorted(bodies.ran) == sorted(f"awake {n}" for n in range(MANY))


def test_what_is_just_being_taken_is_not_taken_for_forgotten(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps = asleep(bench, sleeper(bodies))
    (ring,) = due(bench)
    supervisor, together = Supervisor(bench.runtime), missed.read_all

    def slowly(*args: Any) -> Any:
        for _ in range(3):
            supervisor.beat()
        return together(*args)

    monkeypatch.setattr(missed, "read_all", slowly)
    answer(bench.runtime, ring)
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))
    assert {row.fence for row in bench.rows("SELECT fence FROM @instances")} == {2}
    assert bench.runtime.taken == set()


def test_no_more_are_taken_than_may_go_on_at_once(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps = asleep(bench, sleeper(bodies))
    due(bench)
    under_way, most, take_all = [0], [0], convoy.take_all

    def counted(runtime: Any, pks: Any) -> Any:
        under_way[0] += len(pks)
        most[0] = max(most[0], under_way[0])
        taken = take_all(runtime, pks)
        under_way[0] -= len(pks)
        return taken

    monkeypatch.setattr(convoy, "take_all", counted)
    monkeypatch.setattr(convoy, "AT_ONCE", 4)
    drive(bench, naps)
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))
    assert most == [4]


def test_one_that_is_left_alone_for_a_while_keeps_its_convoy_open(
    make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(budget_ms=0)
    closed_with: list[int] = []
    close = convoy.Convoy._close

    def noted(self: Any) -> None:
        closed_with.append(self._members)
        close(self)

    monkeypatch.setattr(convoy.Convoy, "_close", noted)
    alone = bench.create(stepping(3))
    drive(bench, [alone])
    bench.work()
    assert alone.result(timeout=0) == 3
    assert set(closed_with) == {0}


@pytest.mark.parametrize("budget_ms", [0, 1000])
def test_those_that_go_on_together_are_not_handed_back_for_the_time_the_others_took(
    make_bench: Callable[..., Bench], bodies: Bodies, budget_ms: int
) -> None:
    bench = make_bench(budget_ms=budget_ms)
    steps = LEAST_TURNS + 2

    workflow = stepping(steps)
    made = [bench.create(workflow) for _ in range(MANY)]
    messages(bench)
    bench.create(workflow)  # waits for its turn
    advance_together(bench.runtime, [instance._pk for instance in made])
    ran = [row.n for row in bench.rows("SELECT count(*) AS n FROM @steps GROUP BY instance_id")]
    assert ran == [steps if budget_ms else LEAST_TURNS] * MANY
    bench.work()
    assert [instance.result(timeout=0) for instance in made] == [steps] * MANY


def test_a_message_that_is_lost_loses_nothing(bench: Bench, bodies: Bodies) -> None:
    naps = asleep(bench, sleeper(bodies))
    assert len(due(bench)) == 1  # and nobody has heard it
    bench.after(bench.settings.grace_ms)
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))


def test_an_instance_that_a_worker_died_with_goes_on_alone(bench: Bench, bodies: Bodies) -> None:
    naps = asleep(bench, sleeper(bodies))
    (ring,) = due(bench)
    suspect = naps[3]._pk
    bench.database.transaction(
        lambda connection: connection.exec_driver_sql(
            f"UPDATE orchestrator_instances SET lost = 2 WHERE id = {suspect}"
        )
    )
    answer(bench.runtime, ring)
    assert [(each.instance_pk, each.others) for each in messages(bench)] == [(suspect, ())]
    assert [tuple(row) for row in bench.rows("SELECT id, lost FROM @instances WHERE status = 'running'")] == [
        (suspect, 2)
    ]
    bench.after(bench.settings.grace_ms)
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))


def test_instances_of_another_queue_are_rung_for_by_a_message_of_their_own(bench: Bench, bodies: Bodies) -> None:
    class Elsewhere(sleeper(bodies)):  # type: ignore[misc]
        name = "elsewhere"
        queue = "gpu"

    asleep(bench, sleeper(bodies))
    bench.create(Elsewhere, {"n": 100})
    ring = bench.doorbell.due(("gpu",))
    assert ring is not None
    answer(bench.worker(registry=bench.registry, queues=("gpu",)), ring)
    assert sorted((ring.queue, len(ring.others)) for ring in due(bench)) == [("default", MANY - 1), ("gpu", 0)]


def test_nothing_is_begun_by_a_worker_that_stops(bench: Bench, bodies: Bodies) -> None:
    naps = asleep(bench, sleeper(bodies))
    (ring,) = due(bench)
    bench.runtime.stopping.set()
    answer(bench.runtime, ring)
    assert len(messages(bench)) == MANY
    assert {nap.status().status for nap in naps} == {"waiting"}


def test_one_that_can_not_be_advanced_does_not_take_the_others_along(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps = asleep(bench, sleeper(bodies))
    (ring,) = due(bench)
    advance, broken, supervisor = convoy.advance, naps[5]._pk, Supervisor(bench.runtime)

    def fails_once(runtime: Any, pk: int, taken: Any) -> None:
        if pk == broken:
            raise RuntimeError("a fault of ours")
        advance(runtime, pk, taken)

    monkeypatch.setattr(convoy, "advance", fails_once)
    advance_together(bench.runtime, (ring.instance_pk, *ring.others))
    assert [nap.status().status for nap in naps].count("complete") == MANY - 1
    monkeypatch.undo()
    for _ in range(2):  # it was claimed with the others, and nobody works on it
        supervisor.beat()
    bench.after(bench.settings.grace_ms)
    assert naps[5].result(timeout=0) == 5


def test_what_a_failing_thread_has_claimed_goes_back_to_everybody(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps = asleep(bench, sleeper(bodies))
    (ring,) = due(bench)
    supervisor, go_on = Supervisor(bench.runtime), convoy.Convoy._go_on

    def fails(self: Any, member: Any, told: Any) -> None:
        if self._unbegun:
            raise RuntimeError("a fault of ours")
        go_on(self, member, told)

    monkeypatch.setattr(convoy.Convoy, "_go_on", fails)
    with pytest.raises(RuntimeError):
        advance_together(bench.runtime, (ring.instance_pk, *ring.others))
    monkeypatch.undo()
    assert {row.holder for row in bench.rows("SELECT holder FROM @instances")} == {bench.runtime.worker_id}
    assert bench.runtime.taken == set()
    for _ in range(2):
        supervisor.beat()
    bench.after(bench.settings.grace_ms)
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))


def test_one_that_was_claimed_before_it_joined_is_not_taken_for_forgotten(bench: Bench, bodies: Bodies) -> None:
    nap, *_ = asleep(bench, sleeper(bodies))
    due(bench)
    runtime, supervisor = bench.runtime, Supervisor(bench.runtime)
    runtime.crowd.blocking.add("of another name")
    with runtime.crowd.at_work():
        runtime.crowd.open = busy = convoy.Convoy(runtime, [])
        advance_among(runtime, nap._pk)
        for _ in range(3):
            supervisor.beat()
        busy.run()
    bench.settle()
    assert nap.result(timeout=0) == 0
    assert bench.rows("SELECT fence FROM @instances WHERE id = :id", id=nap._pk)[0].fence == 2
    assert runtime.taken == set()


def test_bodies_beside_a_long_one_begin_before_it_where_one_goes_on_alone(bench: Bench) -> None:
    """What waits for the end of a round would wait for that body."""
    began = threading.Event()
    seen: list[bool] = []

    class Mixed(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            async def beside() -> None:
                began.set()

            await asyncio.gather(step.do("beside", beside), step.do("long", lambda: seen.append(began.wait(5))))

    drive(bench, [bench.create(Mixed)])
    assert seen == [True]
