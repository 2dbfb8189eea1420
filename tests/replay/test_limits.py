"""What every run is held to: the step limit, no waiting for what nothing can bring, and one time, chance and identity."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.errors import InvalidStepName, NotAllowedInWorkflow, StepLimitExceeded
from tests.replay.play import START_MS, Play


def one() -> Any:
    return 1


async def three_steps(step: Any) -> Any:
    return [await step.do("a", one) for _ in range(3)]


@pytest.mark.cloudflare(31)
def test_the_step_after_the_last_allowed_one_ends_the_run() -> None:
    play = Play(three_steps, limits={"steps": 2})
    play.execute_all()
    assert isinstance(play.error, StepLimitExceeded)
    assert str(play.error).startswith("The limit of 2 steps has been reached.")
    assert play.asked == ["1: do 'a-1'", "2: do 'a-2'"]


@pytest.mark.cloudflare(31)
def test_as_many_steps_as_allowed_are_fine() -> None:
    play = Play(three_steps, limits={"steps": 3})
    play.execute_all()
    assert play.value == [1, 1, 1]


def test_steps_that_are_answered_from_the_journal_count_too() -> None:
    play = Play(three_steps, limits={"steps": 3})
    play.execute_all()

    with pytest.raises(StepLimitExceeded):
        _ = Play(three_steps, play.journal[:2], limits={"steps": 2}).value


def test_the_limit_may_be_caught_and_holds_for_blocking_functions() -> None:
    def program(step: Any) -> Any:
        step.do("a", one)
        with pytest.raises(StepLimitExceeded):
            step.do("b", one)
        return "enough"

    play = Play(program, limits={"steps": 1})
    play.execute("a-1")
    assert play.value == "enough"


def test_sleeps_and_events_and_refused_calls_do_not_count() -> None:
    async def program(step: Any) -> Any:
        with pytest.raises(InvalidStepName):
            await step.do("", one)
        await step.sleep("nap", 1)
        await step.wait_for_event("answer", "answer")
        await asyncio.sleep(1)
        return await step.do("a", one)

    play = Play(program, limits={"steps": 1})
    play.fire("nap-1")
    play.send("answer-1", None)
    play.fire("asyncio-1")
    play.execute("a-1")
    assert play.value == 1


@pytest.mark.parametrize("awaits", ["a future", "an event", "a lock", "a queue"])
def test_waiting_for_what_nobody_can_bring_shows_as_asking_for_nothing(awaits: str) -> None:
    async def program(step: Any) -> Any:
        await step.do("a", one)
        lock = asyncio.Lock()
        await lock.acquire()
        waits = {
            "a future": asyncio.get_running_loop().create_future,
            "an event": lambda: asyncio.Event().wait(),
            "a lock": lock.acquire,
            "a queue": lambda: asyncio.Queue().get(),
        }
        await waits[awaits]()

    play = Play(program)
    play.execute("a-1")
    assert play.waits_for == []
    assert not play.ended


async def looks_around(step: Any) -> Any:
    seen = [step.now(), step.random(), step.uuid()]
    await step.do("a", one)
    seen += [step.now(), step.random(), step.uuid()]
    await step.sleep("nap", "1 day")
    return [*seen, step.now(), step.random(), step.uuid()]


def test_time_chance_and_ids_are_the_same_on_every_replay() -> None:
    play = Play(looks_around)
    play.answer("a-1", after_ms=1_500)
    play.fire("nap-1")

    assert Play(looks_around, play.journal).value == play.value
    assert len(set(play.value)) == 9
    assert all(0 <= number < 1 for number in play.value[1::3])
    assert all(isinstance(one, uuid.UUID) and one.version == 4 for one in play.value[2::3])


def test_now_is_when_the_last_thing_that_was_waited_for_ended() -> None:
    play = Play(looks_around)
    play.answer("a-1", after_ms=1_500)
    play.fire("nap-1")

    before, after, later = play.value[0], play.value[3], play.value[6]
    assert before == datetime.fromtimestamp(START_MS / 1000, UTC)
    assert (after - before).total_seconds() == 1.5
    assert later > after


def test_time_never_goes_back_when_answers_were_written_by_clocks_that_differ() -> None:
    async def program(step: Any) -> Any:
        await step.do("a", one)
        first = step.now()
        await step.do("b", one)
        return step.now() >= first

    play = Play(program)
    play.answer("a-1", after_ms=5_000)
    play.answer("b-1", after_ms=-4_000)
    assert play.value is True


@pytest.mark.parametrize("used", ["do", "sleep", "random", "uuid"])
def test_step_may_not_be_used_in_the_body_of_a_step(used: str) -> None:
    async def program(step: Any) -> Any:
        def body() -> Any:
            calls = {"do": lambda: step.do("b", one), "sleep": lambda: step.sleep("nap", 1)}
            found = calls.get(used, lambda: getattr(step, used)())()
            return asyncio.run(found) if asyncio.iscoroutine(found) else found

        return await step.do("a", body)

    play = Play(program)
    with pytest.raises(NotAllowedInWorkflow, match="in the body of a step or in a thread"):
        play.execute("a-1")
    assert play.asked == ["1: do 'a-1'"]
