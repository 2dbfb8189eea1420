"""Instances that sleep until one moment are brought to where their next bodies begin before it, and begin them on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.client import Instance
from orchestrator.clock import monotonic
from orchestrator.doorbell import Ring
from orchestrator.engine import activation, convoy, parked, pump, resting
from orchestrator.engine.host import register
from orchestrator.engine.local import answer
from orchestrator.engine.supervisor import Supervisor
from orchestrator.errors import DatabaseUnavailable, InstanceErrored
from orchestrator.store import instances, steps, together
from tests.engine.bench import Bench, Bodies, steps_of

MANY = 5
NAP_MS = 3_600_000
LEFT_MS = 60
"""Of the nap when its instances are taken up. The test's clock stands still then, and this time goes by in truth."""


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench(wake_ahead_ms=1000)


class Seen:
    """What functions and bodies came to, in order, with the moments of the bodies."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.ran: list[int] = []
        self.at: list[float] = []
        self.once_all_are_told: Callable[[], object] = lambda: None

    def tell(self, n: int) -> None:
        self.told.append(n)
        if len(self.told) == MANY:
            self.once_all_are_told()

    async def body(self, n: int) -> int:
        self.ran.append(n)
        self.at.append(monotonic())
        return n


@pytest.fixture
def seen() -> Seen:
    return Seen()


def napping(seen: Seen, **options: Any) -> type[WorkflowEntrypoint[Any]]:
    class Napping(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            n = event.payload
            await step.sleep("nap", "1 hour")
            seen.tell(n)
            return await step.do("awake", seen.body, n, **options)

    return Napping


def asleep(bench: Bench, workflow: type[WorkflowEntrypoint[Any]]) -> list[Instance]:
    found = [bench.create(workflow, n) for n in range(MANY)]
    bench.work()
    return found


def messages(bench: Bench) -> list[Ring]:
    found = []
    while (ring := bench.doorbell.due()) is not None:
        found.append(ring)
    return found


def shortly_before(bench: Bench, left_ms: int = LEFT_MS) -> float:
    """Take them up, and go on until nothing is left to do. When their moment was, in monotonic time."""
    bench.clock.advance(NAP_MS - left_ms)
    started = monotonic()
    bench.work()
    return started + left_ms / 1000


def nudge_all(bench: Bench) -> None:
    """As a message does for an instance that is held here."""
    for one in list(bench.runtime.holding.values()):
        one.nudge()


def test_they_are_told_before_their_moment_and_begin_on_it(bench: Bench, seen: Seen) -> None:
    told_at: list[float] = []
    seen.once_all_are_told = lambda: told_at.append(monotonic())
    naps = asleep(bench, napping(seen))
    due_at = bench.clock.now_ms() + NAP_MS
    moment = shortly_before(bench, left_ms=900)
    assert told_at[0] < moment
    assert min(seen.at) >= moment - resting.NEAR_S
    assert sorted(seen.ran) == list(range(MANY))
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))
    for nap in naps:
        assert list(steps_of(nap)) == ["nap-1", "awake-1"]
        assert steps_of(nap)["nap-1"].ended_at == due_at
    assert bench.rows("SELECT 1 FROM @timers") == []
    assert bench.runtime.holding == {}


def test_they_are_rung_for_so_long_before_and_one_alone_on_its_moment(bench: Bench, seen: Seen) -> None:
    workflow = napping(seen)
    asleep(bench, workflow)
    bench.clock.advance(100)
    bench.run(workflow, 99)
    bench.clock.advance(NAP_MS - 2000 - 100)
    pump.tick(bench.runtime)
    bench.clock.advance(100)
    pump.tick(bench.runtime)
    assert bench.doorbell.pending() == [900, 2000]


def test_other_deadlines_are_rung_for_on_their_moment(bench: Bench) -> None:
    class Waits(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.wait_for_event("it", "it", timeout="1 hour")

    asleep(bench, Waits)
    bench.clock.advance(NAP_MS - 2000)
    pump.tick(bench.runtime)
    assert bench.doorbell.pending() == [2000]


def test_a_function_that_has_come_to_its_end_ends_on_its_moment(bench: Bench, seen: Seen) -> None:
    class Naps(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> int:
            await step.sleep("nap", "1 hour")
            seen.tell(event.payload)
            return int(event.payload)

    ended_before: list[bool] = []
    naps = asleep(bench, Naps)
    seen.once_all_are_told = lambda: ended_before.append(any(nap.status().status == "complete" for nap in naps))
    moment = shortly_before(bench)
    assert ended_before == [False]
    assert monotonic() >= moment
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))


def test_a_function_that_fails_early_fails(bench: Bench) -> None:
    class Breaks(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.sleep("nap", "1 hour")
            raise ValueError("broken")

    naps = asleep(bench, Breaks)
    shortly_before(bench)
    for nap in naps:
        with pytest.raises(InstanceErrored, match="broken"):
            nap.result(timeout=0)
        assert list(steps_of(nap)) == ["nap-1"]


def test_what_else_it_asks_for_begins_on_its_moment(bench: Bench, seen: Seen, bodies: Bodies) -> None:
    class Mixed(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            await step.sleep("nap", "1 hour")
            seen.tell(event.payload)
            first = await asyncio.gather(
                step.do("a", seen.body, event.payload), step.do("b", bodies(f"def {event.payload}", lambda: "b"))
            )
            await asyncio.sleep(1)
            return first

    naps = asleep(bench, Mixed)
    begun_before: list[object] = []
    seen.once_all_are_told = lambda: begun_before.extend([*seen.ran, *bodies.ran])
    shortly_before(bench)
    bench.after("2 seconds")
    assert begun_before == []
    assert [nap.result(timeout=0) for nap in naps] == [[n, "b"] for n in range(MANY)]
    assert (sorted(seen.ran), len(bodies.ran)) == (list(range(MANY)), MANY)


def test_a_step_for_another_queue_is_left_to_those_who_serve_it(bench: Bench, seen: Seen) -> None:
    naps = asleep(bench, napping(seen, queue="elsewhere"))
    shortly_before(bench)
    assert seen.ran == []
    bench.settle(bench.worker(registry=bench.registry, queues=["elsewhere", "default"]))
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))


# --- news in between


def test_one_that_is_terminated_in_between_begins_nothing(bench: Bench, seen: Seen) -> None:
    naps = asleep(bench, napping(seen))
    seen.once_all_are_told = naps[2].terminate
    shortly_before(bench)
    assert sorted(seen.ran) == [0, 1, 3, 4]
    assert naps[2].status().status == "terminated"
    assert [nap.result(timeout=0) for nap in naps if nap is not naps[2]] == [0, 1, 3, 4]


def test_one_that_is_paused_in_between_sleeps_on(bench: Bench, seen: Seen) -> None:
    naps = asleep(bench, napping(seen))
    seen.once_all_are_told = naps[2].pause
    shortly_before(bench)
    assert (naps[2].status().status, sorted(seen.ran)) == ("paused", [0, 1, 3, 4])
    bench.clock.advance("1 day")
    naps[2].resume()
    bench.work()
    bench.after(LEFT_MS)
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))
    assert sorted(seen.ran) == list(range(MANY))


def test_one_that_is_restarted_in_between_sleeps_anew(bench: Bench, seen: Seen) -> None:
    naps = asleep(bench, napping(seen))
    seen.once_all_are_told = naps[2].restart
    shortly_before(bench)
    assert (naps[2].status().status, sorted(seen.ran)) == ("waiting", [0, 1, 3, 4])
    bench.after(NAP_MS)
    assert naps[2].result(timeout=0) == 2


def test_an_event_that_comes_in_between_is_kept(bench: Bench, seen: Seen) -> None:
    class Both(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            await step.sleep("nap", "1 hour")
            seen.tell(event.payload)
            return [await step.do("awake", seen.body, event.payload), (await step.wait_for_event("it", "it")).payload]

    naps = asleep(bench, Both)
    seen.once_all_are_told = lambda: naps[2].send_event("it", "there")
    shortly_before(bench)
    bench.after(LEFT_MS)
    assert naps[2].result(timeout=0) == [2, "there"]
    assert sorted(seen.ran) == list(range(MANY))
    assert {nap.status().status for nap in naps if nap is not naps[2]} == {"waiting"}


def test_a_ring_without_news_changes_nothing(bench: Bench, seen: Seen) -> None:
    naps = asleep(bench, napping(seen))
    seen.once_all_are_told = lambda: nudge_all(bench)
    moment = shortly_before(bench)
    assert seen.told == list(range(MANY))  # none was put away and replayed
    assert min(seen.at) >= moment - resting.NEAR_S
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))


def test_news_that_is_rung_for_is_heard_at_once(make_bench: Callable[..., Bench], seen: Seen) -> None:
    bench = make_bench(wake_ahead_ms=600_000, pump_ms=300_000, horizon_ms=600_000)
    naps = asleep(bench, napping(seen))

    def pause_all() -> None:
        for nap in naps:
            nap.pause()
        nudge_all(bench)

    seen.once_all_are_told = pause_all
    shortly_before(bench, left_ms=500_000)
    assert {nap.status().status for nap in naps} == {"paused"}


def test_news_while_its_end_is_being_stored_is_read(bench: Bench, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    naps = asleep(bench, napping(seen))
    once_begun(monkeypatch, naps[2].pause)
    shortly_before(bench)
    assert sorted(seen.ran) == list(range(MANY))  # it had begun
    bench.work()
    assert naps[2].status().status == "paused"
    bench.restart_process()  # what is stored is all there is
    naps[2].resume()
    bench.work()
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))
    assert sorted(seen.ran) == list(range(MANY))
    assert all(list(steps_of(nap)) == ["nap-1", "awake-1"] for nap in naps)


def test_one_that_is_paused_while_its_end_is_being_stored_does_not_end(
    bench: Bench, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Naps(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> int:
            await step.sleep("nap", "1 hour")
            return int(event.payload)

    naps, standing = asleep(bench, Naps), instances.standing

    def seen_too_early(*args: Any) -> Any:
        found = standing(*args)
        naps[2].pause()
        return found

    monkeypatch.setattr(instances, "standing", seen_too_early)
    shortly_before(bench)
    assert naps[2].status().status == "paused"
    assert list(steps_of(naps[2])) == ["nap-1"]
    naps[2].resume()
    bench.work()
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))


def test_what_has_begun_for_nothing_is_not_stored(bench: Bench, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    naps = asleep(bench, napping(seen))
    once_begun(monkeypatch, naps[2].restart)
    shortly_before(bench)
    assert sorted(seen.ran) == list(range(MANY))
    assert naps[2].status().status == "waiting"
    assert bench.rows("SELECT 1 FROM @steps WHERE instance_id = :pk AND run > 1", pk=naps[2]._pk) == []
    bench.after(NAP_MS)
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))


def once_begun(monkeypatch: pytest.MonkeyPatch, then: Callable[[], object]) -> None:
    """Do something between the beginning of the bodies and the storing of their sleeps' ends."""
    begin, left = resting.Resting._begin, [then]

    def beginning(self: Any, work: Any) -> None:
        begin(self, work)
        while work and left:
            left.pop()()

    monkeypatch.setattr(resting.Resting, "_begin", beginning)


# --- failures


def test_a_worker_that_stops_hands_them_over_at_once(make_bench: Callable[..., Bench], seen: Seen) -> None:
    bench = make_bench(wake_ahead_ms=600_000, pump_ms=300_000, horizon_ms=600_000)
    naps = asleep(bench, napping(seen))

    def stop() -> None:
        bench.runtime.stopping.set()
        nudge_all(bench)

    seen.once_all_are_told = stop
    bench.clock.advance(NAP_MS - 500_000)
    pump.tick(bench.runtime)
    for ring in messages(bench):
        answer(bench.runtime, ring)
    assert (seen.ran, bench.runtime.holding) == ([], {})
    assert {nap.status().status for nap in naps} == {"waiting"}
    bench.restart_process()
    bench.after(500_000)
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))
    assert sorted(seen.ran) == list(range(MANY))


def test_if_it_can_not_be_seen_whether_their_claims_stand_nothing_begins(
    bench: Bench, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps = asleep(bench, napping(seen))
    standing = instances.standing

    def away(*args: Any) -> Any:
        monkeypatch.setattr(instances, "standing", standing)
        raise DatabaseUnavailable("gone for a moment")

    monkeypatch.setattr(instances, "standing", away)
    shortly_before(bench)
    bench.after(LEFT_MS)
    assert len(seen.told) == 2 * MANY  # they were put away and taken up again
    assert sorted(seen.ran) == list(range(MANY))
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))


def test_bodies_whose_sleep_could_not_be_ended_have_cost_an_attempt(
    bench: Bench, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps = asleep(bench, napping(seen, retries={"limit": 1, "delay": 0}))

    fire = steps.fire

    def lost(*args: Any) -> Any:
        monkeypatch.setattr(steps, "fire", fire)
        raise DatabaseUnavailable("gone for a moment")

    monkeypatch.setattr(steps, "fire", lost)
    shortly_before(bench)
    bench.after(max(bench.settings.grace_ms, LEFT_MS))
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))
    assert len(seen.ran) == MANY + 1
    assert sorted(steps_of(nap)["awake-1"].attempts for nap in naps) == [1] * (MANY - 1) + [2]
    for nap in naps:
        assert list(steps_of(nap)) == ["nap-1", "awake-1"]


def test_one_that_a_worker_died_with_is_not_told_early(bench: Bench, seen: Seen) -> None:
    naps = asleep(bench, napping(seen))
    bench.database.statement(
        lambda connection: connection.exec_driver_sql("UPDATE orchestrator_instances SET lost = 1")
    )
    bench.clock.advance(NAP_MS - LEFT_MS)
    bench.work()
    assert seen.told == []
    bench.after(LEFT_MS)
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))


def test_a_supervisor_does_not_detach_what_has_yet_to_be_stored(
    bench: Bench, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body with a row of its own could be stored before the end of the sleep that it follows."""
    naps = asleep(bench, napping(seen))
    supervisor, begin = Supervisor(bench.runtime, recycle=lambda: None), resting.Resting._begin
    looked: list[int] = []
    started: list[float] = []

    def late(self: Any, work: Sequence[Any]) -> None:
        started.extend(order.started for order, _ in work)
        begin(self, list(work))
        for order, _ in work:
            order.started -= 2 * bench.settings.moment_ms / 1000
        supervisor.look_after_bodies()
        looked.append(len(work))

    monkeypatch.setattr(resting.Resting, "_begin", late)
    moment = shortly_before(bench)
    assert sum(looked) == MANY
    assert min(started) >= moment - resting.NEAR_S  # they are given no less time for having waited
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))
    assert all(list(steps_of(nap)) == ["nap-1", "awake-1"] for nap in naps)
    assert bench.rows("SELECT 1 FROM @attempts") == []


# --- how many


def test_those_who_find_no_place_are_rung_for_by_one_message_on_their_moment(
    bench: Bench, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parked, "MOST", 2)
    naps = asleep(bench, napping(seen))
    shortly_before(bench)
    assert len(seen.ran) == 2
    assert bench.doorbell.pending() == [LEFT_MS]
    bench.after(LEFT_MS)
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))


def test_those_of_whom_not_all_may_run_at_once_take_no_slot_before_their_moment(bench: Bench, seen: Seen) -> None:
    class Limited(WorkflowEntrypoint):
        concurrency = {"limit": 2}  # noqa: RUF012

        async def run(self, event: Any, step: Any) -> Any:
            await step.sleep("nap", "1 hour")
            return await step.do("awake", seen.body, event.payload)

    bench.registry.add(Limited)
    register(bench.runtime)
    naps = asleep(bench, Limited)
    shortly_before(bench)
    assert seen.ran == []
    bench.after(LEFT_MS)
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))


def test_no_more_are_moved_at_once_than_may_go_on(bench: Bench, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convoy, "AT_ONCE", 2)
    asked: list[int] = []
    answer_all = together.answer

    def counting(database: Any, several: Sequence[Any]) -> Any:
        asked.append(len(several))
        return answer_all(database, several)

    naps = asleep(bench, napping(seen))
    monkeypatch.setattr(convoy, "answer", counting)
    shortly_before(bench)
    assert max(asked) == 2
    assert [nap.result(timeout=0) for nap in naps] == list(range(MANY))


def test_the_time_of_rest_is_not_taken_from_their_budget(
    make_bench: Callable[..., Bench], seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Two(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[int]:
            await step.sleep("nap", "1 hour")
            return [await step.do("awake", seen.body, event.payload) for _ in range(2)]

    bench = make_bench(wake_ahead_ms=1000, budget_ms=LEFT_MS - 10)
    naps = asleep(bench, Two)
    asked: list[object] = []
    monkeypatch.setattr(activation, "LEAST_TURNS", 0)
    monkeypatch.setattr(instances, "someone_waits", lambda *args, **values: asked.append(1))
    shortly_before(bench)
    assert [nap.result(timeout=0) for nap in naps] == [[n, n] for n in range(MANY)]
    assert asked == []
