"""Whoever follows an instance is told everything that happens to it, once, in order, and can go on where they stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint, WorkflowTimeoutError
from orchestrator.client import Instance, InstanceEvent
from orchestrator.engine.happenings import EVENT_TYPES
from orchestrator.errors import InstanceNotFound, InvalidSubscription, ResultTimeout
from tests.engine.bench import Bench, Bodies, Failing
from tests.engine.clock import START_MS

NEVER = {"retries": {"limit": 0, "delay": 0}}


def so_far(instance: Instance, cursor: int | None = None) -> list[InstanceEvent]:
    """What there is at this moment."""
    found = []
    subscription = instance.subscribe(cursor=cursor)
    while (event := subscription.next(0)) is not None:
        found.append(event)
    return found


def short(events: list[InstanceEvent]) -> list[str]:
    """`step_completed charge-1 #2`, for reading."""
    words = []
    for event in events:
        number = f"#{event.data['attempt']}" if "attempt" in event.data else ""
        words.append(" ".join(part for part in (event.type, event.data.get("step_name", ""), number) if part))
    return words


class Order(WorkflowEntrypoint):
    async def run(self, event: Any, step: Any) -> Any:
        await step.do("check", lambda: {"tea": 2})
        await step.do("charge", {"retries": {"limit": 2, "delay": "1 minute"}}, Failing(times=1))
        await step.sleep("cool down", "1 hour")
        approval = await step.wait_for_event("approval", "approved", timeout="1 day")
        return approval.payload


ORDER = [
    "workflow_queued",
    "workflow_started",
    "workflow_running",
    "step_started check-1",
    "attempt_started check-1 #1",
    "attempt_completed check-1 #1",
    "step_completed check-1",
    "step_started charge-1",
    "attempt_started charge-1 #1",
    "attempt_errored charge-1 #1",
    "attempt_started charge-1 #2",
    "attempt_completed charge-1 #2",
    "step_completed charge-1",
    "sleep_started cool down-1",
    "sleep_completed cool down-1",
    "wait_started approval-1",
    "wait_completed approval-1",
    "workflow_completed",
]


def finish_order(bench: Bench) -> Instance:
    order = bench.run(Order, {"n": 1}, id="o-1")
    bench.after("1 minute")
    bench.after("1 hour")
    order.send_event("approved", {"by": "ann"})
    bench.work()
    return order


def test_one_who_comes_afterwards_is_told_all_of_it_in_order(bench: Bench) -> None:
    events = list(finish_order(bench).subscribe())
    assert short(events) == ORDER
    assert [event.event_id for event in events] == list(range(1, len(ORDER) + 1))
    assert {event.instance_id for event in events} == {"o-1"}
    data = {(event.type, event.data.get("step_name")): event for event in events}
    assert data["workflow_queued", None].data == {"trigger": "api"}
    assert data["workflow_started", None].data == {"params": {"n": 1}}
    assert data["step_completed", "check-1"].data["output"] == {"tea": 2}
    assert data["attempt_errored", "charge-1"].data == {
        "step_name": "charge-1", "attempt": 1, "error": {"name": "ValueError", "message": "no"},
        "retry_delay_ms": 60_000,
    }  # fmt: skip
    assert data["step_started", "charge-1"].data["config"]["retries"]["delay"] == "1 minute"
    assert data["sleep_started", "cool down-1"].data["duration_ms"] == 3_600_000
    assert data["wait_started", "approval-1"].data["event_type"] == "approved"
    assert data["workflow_completed", None].data == {"output": {"by": "ann"}}
    assert data["workflow_completed", None].timestamp == START_MS + 3_660_000


def test_one_who_watches_all_along_is_told_what_is_under_way(bench: Bench) -> None:
    order = bench.create(Order)
    following = order.subscribe()

    def news() -> list[str]:
        found = []
        while (event := following.next(0)) is not None:
            found.append(event)
        return short(found)

    assert news() == ["workflow_queued"]
    bench.work()
    assert news() == [*ORDER[1:10], "workflow_waiting"]
    assert news() == []
    bench.after("1 minute")
    assert news() == ORDER[10:14]
    bench.after("1 hour")
    assert news() == ORDER[14:16]
    order.send_event("approved")
    bench.work()
    assert news() == ORDER[16:]
    assert following.ended
    with pytest.raises(StopIteration):
        next(following)


def test_every_follower_sees_the_same_numbers_whenever_it_came(bench: Bench) -> None:
    order = bench.create(Order)
    early = order.subscribe()
    seen = []

    def look() -> None:
        while (event := early.next(0)) is not None:
            seen.append(event)

    look()
    bench.work()
    look()
    bench.after("1 minute")
    order.pause()
    order.resume()
    bench.work()
    look()
    bench.after("1 hour")
    order.send_event("approved")
    bench.work()
    late = list(order.subscribe())
    look()
    assert late == seen
    ids = [event.event_id for event in late]
    assert ids == sorted(set(ids))


def test_a_cursor_goes_on_strictly_after_the_event_it_names(bench: Bench) -> None:
    order = finish_order(bench)
    everything = list(order.subscribe())
    for event in everything:
        rest = list(order.subscribe(cursor=event.event_id))
        assert rest == [other for other in everything if other.event_id > event.event_id]


def test_a_filter_hides_and_the_end_ends_it_all_the_same(bench: Bench) -> None:
    order = finish_order(bench)
    assert short(list(order.subscribe(filter=["sleep_completed", "step_completed"]))) == [
        "step_completed check-1", "step_completed charge-1", "sleep_completed cool down-1",
    ]  # fmt: skip


def test_a_failure_is_told_with_its_step_and_its_error(bench: Bench) -> None:
    class Bad(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.do("break", NEVER, Failing())

    events = list(bench.run(Bad).subscribe())
    assert short(events)[-4:] == [
        "attempt_started break-1 #1", "attempt_errored break-1 #1", "step_errored break-1", "workflow_errored",
    ]  # fmt: skip
    assert "retry_delay_ms" not in events[-3].data
    assert events[-1].data == {"error": {"name": "ValueError", "message": "no"}}


def test_a_wait_that_timed_out_and_a_termination_are_told(bench: Bench) -> None:
    class Waits(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            try:
                await step.wait_for_event("news", "news", timeout="1 minute")
            except WorkflowTimeoutError:
                await step.sleep("nap", "1 day")

    instance = bench.run(Waits)
    bench.after("1 minute")
    instance.terminate()
    events = list(instance.subscribe())
    assert short(events)[3:] == ["wait_started news-1", "wait_timed_out news-1", "workflow_terminated"]
    assert "60000ms" in events[4].data["error"]["message"]


def test_a_pause_is_told_whether_anybody_watched_or_not(bench: Bench) -> None:
    order = bench.run(Order)
    order.pause()
    order.resume()
    order.terminate()
    told = short(so_far(order))
    assert told[-3:] == ["workflow_paused", "workflow_queued", "workflow_terminated"]


def test_a_restart_goes_on_with_the_numbers_and_tells_the_new_run_only(bench: Bench) -> None:
    order = bench.run(Order)
    following = order.subscribe()
    before = []
    while (event := following.next(0)) is not None:
        before.append(event)
    order.restart()
    bench.work()
    after = so_far(order)
    assert short(after)[:4] == ["workflow_queued", "workflow_started", "workflow_running", "step_started check-1"]
    assert after[0].event_id > before[-1].event_id
    assert following.next(0) == after[0]


def test_parallel_steps_are_told_by_their_times(bench: Bench) -> None:
    class Fan(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await asyncio.gather(*(step.sleep(f"nap {n}", f"{n} minutes") for n in (3, 1, 2)))

    instance = bench.run(Fan)
    for _ in range(3):
        bench.after("1 minute")
    assert short(list(instance.subscribe()))[3:-1] == [
        "sleep_started nap 3-1", "sleep_started nap 1-1", "sleep_started nap 2-1",
        "sleep_completed nap 1-1", "sleep_completed nap 2-1", "sleep_completed nap 3-1",
    ]  # fmt: skip


def test_an_event_that_is_learnt_late_gets_a_later_number(bench: Bench, bodies: Bodies) -> None:
    seen: list[list[InstanceEvent]] = []

    class Two(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.do("one", bodies("one"))
            await step.do("two", lambda: seen.append(so_far(own)))

    own = bench.create(Two)
    bench.work()
    during, after = seen[0], so_far(own)
    assert after[: len(during)] == during
    assert "step_started two-1" in short(after[len(during) :])


class Saga(WorkflowEntrypoint):
    async def run(self, event: Any, step: Any) -> None:
        undo = event.payload["undo"]
        await step.do("book", lambda: "b", rollback=lambda ctx: None)
        await step.do("pay", lambda: "p", rollback=Failing(times=0 if undo else 9), rollback_config=NEVER)
        await step.do("ship", NEVER, Failing())


def test_a_rollback_is_told_step_by_step_before_the_end(bench: Bench) -> None:
    events = list(bench.run(Saga, {"undo": True}).subscribe())
    told = short(events)
    assert told[told.index("step_errored ship-1") :] == [
        "step_errored ship-1",
        "rollback_started",
        "rollback_step_started pay-1",
        "rollback_attempt_started pay-1 #1",
        "rollback_attempt_completed pay-1 #1",
        "rollback_step_completed pay-1",
        "rollback_step_started book-1",
        "rollback_attempt_started book-1 #1",
        "rollback_attempt_completed book-1 #1",
        "rollback_step_completed book-1",
        "rollback_completed",
        "workflow_errored",
    ]
    assert events[told.index("rollback_started")].data == {"error": {"name": "ValueError", "message": "no"}}


def test_a_rollback_that_fails_is_told_with_its_error(bench: Bench) -> None:
    events = list(bench.run(Saga, {"undo": False}).subscribe())
    assert short(events)[-6:] == [
        "rollback_step_started pay-1",
        "rollback_attempt_started pay-1 #1",
        "rollback_attempt_errored pay-1 #1",
        "rollback_step_errored pay-1",
        "rollback_errored",
        "workflow_errored",
    ]
    assert events[-3].data == {"step_name": "pay-1", "error": {"name": "ValueError", "message": "no"}}
    assert events[-2].data["error"]["name"] == "ValueError"


def test_a_run_without_anything_to_undo_tells_no_rollback(bench: Bench) -> None:
    assert not [event for event in finish_order(bench).subscribe() if event.type.startswith("rollback")]


def test_what_is_sensitive_is_hidden_and_its_error_is_not(bench: Bench) -> None:
    class Secret(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.do("token", {"sensitive": "output"}, lambda: "hunter2")

    events = list(bench.run(Secret).subscribe())
    outputs = [event.data["output"] for event in events if event.type == "step_completed"]
    assert outputs == ["[REDACTED]"]
    assert "hunter2" not in repr(events)


@pytest.mark.parametrize("cursor", [-1, 1.5, "1", True, 2**40])
def test_a_cursor_that_is_none_is_refused(bench: Bench, cursor: Any) -> None:
    instance = bench.run(Order)
    with pytest.raises(InvalidSubscription, match="Invalid Workflow subscription options: cursor"):
        instance.subscribe(cursor=cursor)


@pytest.mark.parametrize("filter", [["step_complete"], "step_completed", [1], 7])
def test_a_filter_with_something_unknown_is_refused(bench: Bench, filter: Any) -> None:
    instance = bench.run(Order)
    with pytest.raises(InvalidSubscription, match="Invalid Workflow subscription options"):
        instance.subscribe(filter=filter)


def test_what_is_gone_can_not_be_followed(bench: Bench) -> None:
    instance = bench.run(Order)
    following = instance.subscribe()
    assert following.next(0) is not None
    instance.delete()
    assert bench.rows("SELECT 1 FROM @history") == bench.rows("SELECT 1 FROM @changes") == []
    with pytest.raises(InstanceNotFound):
        instance.subscribe()
    with pytest.raises(InstanceNotFound):
        list(following)


def test_a_follower_does_not_wait_longer_than_it_was_told(bench: Bench) -> None:
    following = bench.run(Order).subscribe(timeout=0)
    with pytest.raises(ResultTimeout):
        list(following)


def test_nothing_is_written_for_an_instance_that_nobody_follows(bench: Bench) -> None:
    finish_order(bench)
    assert bench.rows("SELECT 1 FROM @history") == bench.rows("SELECT 1 FROM @changes") == []


def test_followers_at_the_same_time_agree(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()

    class Many(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            for n in range(40):
                await step.do(f"step {n}", lambda: None)

    instance = bench.run(Many)
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda _: list(instance.subscribe()), range(4)))
    assert all(events == told[0] for events in told)
    assert len(told[0]) == 4 + 40 * 4
    assert len({event.event_id for event in told[0]}) == len(told[0])


def test_every_type_that_is_told_is_a_known_one(bench: Bench) -> None:
    assert {event.type for event in finish_order(bench).subscribe()} <= set(EVENT_TYPES)
