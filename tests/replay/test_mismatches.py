"""Code that no longer does what the journal says stops with the difference in its message, and what fits goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from orchestrator.errors import ReplayMismatch
from tests.replay.play import Play, Program


def one() -> Any:
    return 1


async def original(step: Any) -> Any:
    await step.do("stock", one)
    await asyncio.gather(step.do("charge", one), step.do("reserve", one))
    await step.sleep("cool down", "1 hour")
    await step.do("ship", one)
    return "shipped"


def recorded(program: Program = original) -> Play:
    """The journal of the original, up to its last step but one."""
    play = Play(program)
    for label in ("stock-1", "reserve-1", "charge-1"):
        play.answer(label, 1)
    play.fire("cool down-1")
    return play


async def renamed(step: Any) -> Any:
    await step.do("inventory", one)


async def reordered(step: Any) -> Any:
    await asyncio.gather(step.do("charge", one), step.do("reserve", one))
    await step.do("stock", one)


async def removed(step: Any) -> Any:
    await step.do("stock", one)
    await step.do("charge", one)
    await step.sleep("cool down", "1 hour")


async def cut_short(step: Any) -> Any:
    return "nothing to do"


async def kind_changed(step: Any) -> Any:
    await step.sleep("stock", "1 hour")


async def event_instead(step: Any) -> Any:
    await step.wait_for_event("stock", "stock")


async def inserted_before(step: Any) -> Any:
    await step.do("check", one)
    await step.do("stock", one)


async def inserted_beside(step: Any) -> Any:
    await step.do("stock", one)
    await asyncio.gather(step.do("notify", one), step.do("charge", one), step.do("reserve", one))


async def swapped(step: Any) -> Any:
    await step.do("stock", one)
    await asyncio.gather(step.do("reserve", one), step.do("charge", one))


async def no_longer_parallel(step: Any) -> Any:
    await step.do("stock", one)
    await step.do("charge", one)
    await step.do("reserve", one)


async def counts_differently(step: Any) -> Any:
    await step.do("stock", one)
    await step.do("stock", one)


@pytest.mark.parametrize(
    ("changed", "expected", "found"),
    [
        (renamed, "expected do 'stock-1'", "asks for do 'inventory-1'"),
        (reordered, "expected do 'stock-1'", "asks for do 'charge-1', do 'reserve-1'"),
        (removed, "expected do 'reserve-1'", "asks for do 'charge-1'"),
        (cut_short, "expected do 'stock-1'", "has ended"),
        (kind_changed, "expected do 'stock-1'", "asks for sleep 'stock-1'"),
        (event_instead, "expected do 'stock-1'", "asks for waitForEvent 'stock-1'"),
        (inserted_before, "expected do 'stock-1'", "asks for do 'check-1'"),
        (inserted_beside, "do 'reserve-1' was number 3 in the order of calls", "now it is number 4"),
        (swapped, "do 'reserve-1' was number 3 in the order of calls", "now it is number 2"),
        (no_longer_parallel, "expected do 'reserve-1'", "asks for do 'charge-1'"),
        (counts_differently, "expected do 'reserve-1'", "asks for do 'stock-2'"),
    ],
)
def test_a_change_that_running_instances_cannot_follow(changed: Program, expected: str, found: str) -> None:
    with pytest.raises(ReplayMismatch) as caught:
        Play(changed, recorded().journal)

    message = str(caught.value)
    assert expected in message
    assert found in message
    assert "put the old code back, or restart the instance" in message
    assert caught.value.code == "workflow.replay_mismatch"


async def step_added_at_the_end(step: Any) -> Any:
    await original(step)
    await step.do("thank", one)


async def sleep_changed(step: Any) -> Any:
    await step.do("stock", one, retries={"limit": 1, "delay": "1 minute"})
    await asyncio.gather(step.do("charge", one), step.do("reserve", one))
    await step.sleep("cool down", "2 hours")
    await step.do("ship", lambda: 2)


async def code_between_changed(step: Any) -> Any:
    stock = await step.do("stock", one)
    charged, reserved = await asyncio.gather(step.do("charge", one), step.do("reserve", one))
    await step.sleep("cool down", "1 hour")
    if stock + charged + reserved == 3:
        await step.do("ship", one)


@pytest.mark.parametrize("changed", [original, step_added_at_the_end, sleep_changed, code_between_changed])
def test_a_change_that_does_not_touch_what_was_recorded_is_followed(changed: Program) -> None:
    assert Play(changed, recorded().journal).waits_for == ["do 'ship-1'"]


def test_what_was_answered_stays_usable_after_a_mismatch() -> None:
    journal = recorded().journal
    with pytest.raises(ReplayMismatch):
        Play(renamed, journal)

    assert Play(original, journal).waits_for == ["do 'ship-1'"]


def test_a_mismatch_is_noticed_within_a_race_that_was_lost() -> None:
    async def program(step: Any) -> Any:
        race = [asyncio.create_task(step.do(name, one)) for name in "ab"]
        await asyncio.wait(race, return_when=asyncio.FIRST_COMPLETED)
        for task in race:
            task.cancel()

    play = Play(program)
    play.answer("a-1", 1)
    play.late("do:b:1")
    play.journal[-1].key = "do:c:1"

    with pytest.raises(ReplayMismatch, match="expected do 'c-1'"):
        Play(program, play.journal)


def test_a_function_that_waits_for_nothing_is_shown_as_such() -> None:
    async def program(step: Any) -> Any:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(ReplayMismatch, match="the code asks for nothing"):
        Play(program, recorded().journal)


class Receipt(BaseModel):
    number: int


def test_a_stored_result_that_does_not_fit_its_new_type_is_a_mismatch() -> None:
    def typed() -> Receipt:
        return Receipt(number=1)

    async def before(step: Any) -> Any:
        await step.do("charge", one)

    async def after(step: Any) -> Any:
        await step.do("charge", typed)

    play = Play(before)
    play.answer("charge-1", {"id": 1})

    with pytest.raises(ReplayMismatch, match=r"stored result of do 'charge-1' does not fit .* number: Field required"):
        Play(after, play.journal)
