"""Sleeps and events: what is asked for, what comes back, and every call that is refused before anything is recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from orchestrator import EventTimeoutError, InvalidEventPayload
from orchestrator.authoring.views import ReceivedEvent
from orchestrator.errors import InvalidDuration, InvalidEventType, InvalidStepName
from tests.replay.play import START_MS, Play

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("duration", "ms"),
    [(1500, 1500), ("3 days", 3 * DAY_MS), (timedelta(hours=1), 3_600_000), (0, 0), ("365 days", 365 * DAY_MS)],
)
def test_a_sleep_asks_for_a_timer_of_its_length(duration: Any, ms: int) -> None:
    async def program(step: Any) -> Any:
        return await step.sleep("nap", duration)

    play = Play(program)
    assert play.timer("nap-1").duration_ms == ms
    assert play.timer("nap-1").due_at(START_MS) == START_MS + ms
    play.fire("nap-1")
    assert play.value is None


@pytest.mark.parametrize("when", [datetime(2030, 1, 1, tzinfo=UTC), 1_893_456_000_000, 1_893_456_000_000.4])
def test_sleep_until_asks_for_a_moment(when: Any) -> None:
    async def program(step: Any) -> Any:
        await step.sleep_until("new year", when)

    timer = Play(program).timer("new year-1")
    assert timer.until_ms == 1_893_456_000_000
    assert timer.due_at(START_MS) == 1_893_456_000_000


@pytest.mark.parametrize("when", [datetime(2030, 1, 1), "tomorrow", -1, True, None, float("nan"), 1e17])  # noqa: DTZ001
def test_a_moment_that_is_none_is_refused(when: Any) -> None:
    async def program(step: Any) -> Any:
        await step.sleep_until("new year", when)

    play = Play(program)
    assert isinstance(play.error, InvalidDuration)
    assert "aware datetime" in str(play.error)
    assert play.asked == []


@pytest.mark.parametrize("duration", ["5 apples", -1, "366 days", None, float("inf")])
def test_a_sleep_of_no_duration_is_refused(duration: Any) -> None:
    async def program(step: Any) -> Any:
        await step.sleep("nap", duration)

    play = Play(program)
    assert isinstance(play.error, InvalidDuration)
    assert play.asked == []


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 257, None, 7])
def test_names_are_checked_for_sleeps_and_waits_as_for_steps(name: Any) -> None:
    async def program(step: Any) -> Any:
        for call in (
            lambda: step.sleep(name, 1),
            lambda: step.sleep_until(name, 1),
            lambda: step.wait_for_event(name, "answer"),
            lambda: step.do(name, len) if name is not None else step.sleep(name, 1),
        ):
            with pytest.raises(InvalidStepName):
                await call()

    assert Play(program).value is None


def test_occurrences_are_counted_by_kind_and_name() -> None:
    async def program(step: Any) -> Any:
        for _ in range(2):
            await step.sleep("same", 1)
            await step.do("same", len)
            await step.wait_for_event("same", "answer")

    play = Play(program)
    for _ in range(2):
        play.fire(play.waits_for[0].partition("'")[2].strip("'"))
        play.answer(play.waits_for[0].partition("'")[2].strip("'"))
        play.send(play.waits_for[0].partition("'")[2].strip("'"), None)
    keys = [entry.key for entry in play.journal]
    assert keys[:3] == ["sleep:same:1", "do:same:1", "waitForEvent:same:1"]
    assert keys[3:] == ["sleep:same:2", "do:same:2", "waitForEvent:same:2"]


class Approval(BaseModel):
    by: str
    amount: int = 0


async def approved(step: Any) -> Any:
    return await step.wait_for_event("manager approves", "approval", timeout="2 days", payload_type=Approval)


def test_a_wait_asks_for_an_event_of_a_type_until_a_timeout() -> None:
    wait = Play(approved).wait("manager approves-1")
    assert wait.event_type == "approval"
    assert wait.timeout_ms == 2 * DAY_MS


def test_the_timeout_of_a_wait_is_a_day_if_none_is_given() -> None:
    async def program(step: Any) -> Any:
        await step.wait_for_event("answer", "answer")

    assert Play(program).wait("answer-1").timeout_ms == DAY_MS


def test_an_event_comes_with_its_payload_moment_and_type() -> None:
    play = Play(approved)
    play.send("manager approves-1", {"by": "ann"})

    event = play.value
    assert isinstance(event, ReceivedEvent)
    assert event.payload == Approval(by="ann")
    assert event.timestamp == datetime.fromtimestamp((START_MS + 10) / 1000, UTC)
    assert event["type"] == "approval"


def test_a_payload_that_does_not_fit_its_type_is_an_error_that_can_be_caught() -> None:
    async def program(step: Any) -> Any:
        while True:
            try:
                return (await approved(step)).payload.by
            except InvalidEventPayload as error:
                await step.do("complain", str, str(error))

    play = Play(program)
    play.send("manager approves-1", {"amount": "many"})
    message = play.execute("complain-1")
    assert "waitForEvent 'manager approves-1'" in message
    assert "payload.by: Field required; payload.amount: Input should be a valid integer" in message
    play.send("manager approves-2", {"by": "ann"})
    assert play.value == "ann"
    assert Play(program, play.journal).value == "ann"


def test_a_wait_that_took_too_long_raises_a_timeout_that_can_be_caught() -> None:
    async def program(step: Any) -> Any:
        try:
            await approved(step)
        except EventTimeoutError as error:
            return str(error)

    play = Play(program)
    play.fail("manager approves-1", EventTimeoutError.after(1000))
    assert play.value == "Execution timed out after 1000ms"


@pytest.mark.parametrize("event_type", ["", "with.dot", "-leading", "x" * 101, "space d", None])
def test_an_event_type_that_is_none_is_refused(event_type: Any) -> None:
    async def program(step: Any) -> Any:
        await step.wait_for_event("answer", event_type)

    assert isinstance(Play(program).error, InvalidEventType)


@pytest.mark.parametrize("timeout", [0, 999, "0.5 seconds", "366 days", "soon"])
def test_a_timeout_outside_of_a_second_to_a_year_is_refused(timeout: Any) -> None:
    async def program(step: Any) -> Any:
        await step.wait_for_event("answer", "answer", timeout=timeout)

    assert isinstance(Play(program).error, InvalidDuration)
