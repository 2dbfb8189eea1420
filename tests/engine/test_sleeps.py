"""Waiting for a moment holds nobody, ends on that moment, and is fixed when it is first asked for."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from tests.engine.bench import Bench, Bodies, steps_of
from tests.engine.clock import START_MS


class Nap(WorkflowEntrypoint):
    async def run(self, event: Any, step: Any) -> float:
        await step.sleep("nap", event.payload["lasts"])
        return step.now().timestamp() * 1000 - START_MS


@pytest.mark.parametrize("lasts", [1, "9 seconds", "11 seconds", "1 hour", "365 days"])
def test_a_sleep_ends_on_its_millisecond(bench: Bench, lasts: int | str) -> None:
    instance = bench.run(Nap, {"lasts": lasts})
    due_at = steps_of(instance)["nap-1"].due_at
    assert due_at is not None
    assert instance.status().status == "waiting"
    bench.after(due_at - START_MS - 1)
    assert instance.status().status == "waiting"
    bench.after(1)
    assert instance.result(timeout=0) == due_at - START_MS


def test_a_sleeping_instance_is_held_by_nobody(bench: Bench) -> None:
    bench.run(Nap, {"lasts": "1 hour"})
    assert [tuple(row) for row in bench.rows("SELECT holder, ring_at FROM @instances")] == [(None, None)]


def test_a_sleep_of_nothing_passes_at_once(bench: Bench) -> None:
    instance = bench.run(Nap, {"lasts": 0})
    assert instance.result(timeout=0) == 0
    assert steps_of(instance)["nap-1"].status == "complete"


def test_a_sleep_that_was_due_long_ago_ends_when_somebody_comes(bench: Bench) -> None:
    instance = bench.run(Nap, {"lasts": "1 minute"})
    bench.restart_process()
    bench.after("30 days")
    assert instance.status().status == "complete"


def test_the_target_of_a_sleep_is_fixed_when_it_starts(bench: Bench) -> None:
    lasts = "1 hour"

    class Changing(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.sleep("nap", lasts)

    instance = bench.run(Changing)
    lasts = "5 hours"
    bench.clock.advance("30 minutes")
    bench.restart_process()
    instance.send_event("noise")  # somebody looks, and the code asks for five hours now
    bench.after("30 minutes")
    assert instance.status().status == "complete"


def test_sleep_until_waits_for_the_moment_first_asked_for(bench: Bench) -> None:
    class Alarm(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> float:
            await step.sleep_until("alarm", datetime.fromtimestamp(START_MS / 1000 + 3600, UTC))
            return float(step.now().timestamp())

    instance = bench.run(Alarm)
    bench.after(3_600_000 - 1)
    assert instance.status().status == "waiting"
    bench.restart_process()
    bench.after(1)
    assert instance.result(timeout=0) == START_MS / 1000 + 3600


def test_sleep_until_a_past_moment_passes_at_once_with_a_note(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    class Late(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            await step.sleep_until("alarm", START_MS - 1)
            await step.sleep("rest", "1 hour")
            return "done"

    with caplog.at_level(logging.INFO, logger="orchestrator"):
        instance = bench.run(Late)
    assert "its moment is in the past" in caplog.text
    bench.restart_process()
    bench.after("1 hour")
    assert instance.result(timeout=0) == "done"


def test_asyncio_sleep_is_a_durable_timer(bench: Bench) -> None:
    class Plain(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            await asyncio.sleep(3600)
            return "awake"

    instance = bench.run(Plain)
    bench.restart_process()
    bench.after(3_600_000 - 1)
    assert instance.status().status == "waiting"
    bench.after(1)
    assert instance.result(timeout=0) == "awake"


@pytest.mark.parametrize("replayed", [False, True])
def test_asyncio_timeout_ends_a_wait_when_its_time_has_passed(bench: Bench, replayed: bool) -> None:
    class Impatient(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            try:
                async with asyncio.timeout(60):
                    await step.wait_for_event("reply", "reply")
                return "reply"
            except TimeoutError:
                await step.sleep("rest", "1 hour")
                return "too late"

    instance = bench.run(Impatient)
    if replayed:
        bench.restart_process()
    bench.after("1 minute")
    assert bench.rows("SELECT key FROM @timers") == [("sleep:rest:1",)], "the wait was given up with its timer"
    instance.send_event("reply")
    if replayed:
        bench.restart_process()
    bench.after("1 hour")
    assert instance.result(timeout=0) == "too late"


def test_a_timeout_that_was_not_needed_leaves_no_timer_behind(bench: Bench, bodies: Bodies) -> None:
    class InTime(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            answer = await asyncio.wait_for(step.do("ask", bodies("ask")), timeout=3600)
            await step.sleep("rest", "5 minutes")
            return str(answer)

    instance = bench.run(InTime)
    assert bench.rows("SELECT key FROM @timers") == [("sleep:rest:1",)]
    bench.after("5 minutes")
    assert instance.result(timeout=0) == "ask"
    assert bench.rows("SELECT key FROM @timers") == []


def test_parallel_sleeps_end_in_the_order_of_their_moments(bench: Bench) -> None:
    class Race(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[str]:
            order: list[str] = []

            async def nap(name: str, lasts: str) -> None:
                await step.sleep(name, lasts)
                order.append(name)

            await asyncio.gather(nap("long", "3 hours"), nap("short", "1 hour"), nap("middle", "2 hours"))
            return order

    instance = bench.run(Race)
    bench.after("1 day")
    assert instance.result(timeout=0) == ["short", "middle", "long"]


def test_many_sleepers_due_at_once_all_wake(bench: Bench) -> None:
    sleepers = [bench.create(Nap, {"lasts": "1 hour"}) for _ in range(60)]
    bench.work()
    bench.after("1 hour")
    assert {sleeper.status().status for sleeper in sleepers} == {"complete"}
