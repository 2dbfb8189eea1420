"""Races and timeouts: who comes first wins, the losers are given up, and timers of asyncio are asked for like sleeps."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.replay.play import Play


def one() -> Any:
    return 1


async def first(*awaitables: Any) -> Any:
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return done.pop().result()


def test_the_loser_of_a_race_is_given_up() -> None:
    async def program(step: Any) -> Any:
        winner = await first(step.do("quick", one), step.do("slow", one), step.sleep("patience", "1 hour"))
        return winner, await step.do("after", one)

    play = Play(program)
    assert play.waits_for == ["do 'quick-1'", "do 'slow-1'", "sleep 'patience-1'"]
    play.answer("quick-1", "quick")
    assert play.given_up == ["do 'slow-1'", "sleep 'patience-1'"]
    assert play.waits_for == ["do 'after-1'"]
    play.execute("after-1")
    assert play.value == ("quick", 1)


def test_an_answer_to_the_loser_changes_nothing() -> None:
    async def program(step: Any) -> Any:
        return await first(step.do("quick", one), step.do("slow", one)), await step.do("after", one)

    play = Play(program)
    play.answer("quick-1", "quick")
    play.late("do:slow:1", "too late")
    play.execute("after-1")

    assert play.value == ("quick", 1)
    assert Play(program, play.journal).history() == play.history()


@pytest.mark.parametrize("winner", ["a", "b"])
def test_the_winner_is_who_was_answered_first_on_every_replay(winner: str) -> None:
    async def program(step: Any) -> Any:
        return await first(step.do("a", one), step.do("b", one))

    play = Play(program)
    play.answer(f"{winner}-1", winner)
    play.late(f"do:{'b' if winner == 'a' else 'a'}:1", "the other")

    assert play.value == winner
    assert Play(program, play.journal).value == winner


def test_a_race_in_a_race_gives_up_everything_below() -> None:
    async def program(step: Any) -> Any:
        async def both() -> Any:
            return await asyncio.gather(step.do("c", one), first(step.do("d", one), step.do("e", one)))

        return await first(step.do("a", one), both())

    play = Play(program)
    play.answer("d-1", "d")
    assert play.given_up == ["do 'e-1'"]
    play.answer("a-1", "a")
    assert play.given_up == ["do 'e-1'", "do 'c-1'"]
    assert play.value == "a"


def test_sleep_of_asyncio_is_a_durable_timer() -> None:
    async def program(step: Any) -> Any:
        await asyncio.sleep(90)
        return "rested"

    play = Play(program)
    assert play.asked == ["1: timer 'asyncio-1' 90000 ms"]
    play.fire("asyncio-1")
    assert play.value == "rested"


@pytest.mark.parametrize("delay", [0, -1])
def test_a_sleep_of_no_time_only_lets_others_have_their_turn(delay: float) -> None:
    async def program(step: Any) -> Any:
        await asyncio.sleep(delay)
        return "on"

    play = Play(program)
    assert play.value == "on"
    assert play.asked == []


def with_wait_for(step: Any) -> Any:
    return asyncio.wait_for(step.do("call", one), 30)


async def with_timeout(step: Any) -> Any:
    async with asyncio.timeout(30):
        return await step.do("call", one)


@pytest.mark.parametrize("limited", [with_wait_for, with_timeout])
class TestTimeouts:
    def test_a_step_that_is_in_time_stops_the_timer(self, limited: Any) -> None:
        async def program(step: Any) -> Any:
            return await limited(step), await step.do("after", one)

        play = Play(program)
        assert play.asked == ["1: timer 'asyncio-1' 30000 ms", "2: do 'call-1'"]
        play.answer("call-1", "hello")
        assert play.given_up == ["timer 'asyncio-1'"]
        play.execute("after-1")
        assert play.value == ("hello", 1)

    def test_a_step_that_is_late_is_given_up_and_the_timeout_can_be_caught(self, limited: Any) -> None:
        async def program(step: Any) -> Any:
            try:
                return await limited(step)
            except TimeoutError:
                return await step.do("apologise", lambda: "sorry")

        play = Play(program)
        play.fire("asyncio-1")
        assert play.given_up == ["do 'call-1'"]
        play.execute("apologise-1")
        assert play.value == "sorry"

    def test_an_uncaught_timeout_ends_the_run(self, limited: Any) -> None:
        async def program(step: Any) -> Any:
            return await limited(step)

        play = Play(program)
        play.fire("asyncio-1")
        assert isinstance(play.error, TimeoutError)


def test_nested_timeouts_each_have_a_timer_and_the_inner_one_fires_for_itself() -> None:
    async def program(step: Any) -> Any:
        async with asyncio.timeout(60):
            try:
                async with asyncio.timeout(30):
                    await step.do("call", one)
            except TimeoutError:
                return "inner"

    play = Play(program)
    play.fire("asyncio-2")
    assert play.value == "inner"
    assert play.given_up == ["do 'call-1'", "timer 'asyncio-1'"]


def test_a_timeout_that_is_put_off_gets_a_new_timer() -> None:
    async def program(step: Any) -> Any:
        async with asyncio.timeout(30) as limit:
            await step.do("a", one)
            limit.reschedule(asyncio.get_running_loop().time() + 60)
            await step.do("b", one)

    play = Play(program)
    play.execute("a-1")
    assert play.given_up == ["timer 'asyncio-1'"]
    assert play.asked[-2:] == ["3: timer 'asyncio-2' 60000 ms", "4: do 'b-1'"]


def test_a_step_shielded_from_cancellation_goes_on() -> None:
    async def program(step: Any) -> Any:
        kept = asyncio.create_task(step.do("kept", one))
        try:
            async with asyncio.timeout(30):
                await asyncio.shield(kept)
        except TimeoutError:
            return "late", await kept

    play = Play(program)
    play.fire("asyncio-1")
    assert play.given_up == []
    play.execute("kept-1")
    assert play.value == ("late", 1)


def test_a_cancelled_task_may_clean_up_with_steps() -> None:
    async def program(step: Any) -> Any:
        async def careful() -> None:
            try:
                await step.do("rent", one)
            finally:
                await step.do("give back", one)

        task = asyncio.create_task(careful())
        await step.do("other", one)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    play = Play(program)
    play.execute("other-1")
    assert play.given_up == ["do 'rent-1'"]
    play.execute("give back-1")
    assert play.value is True


def test_a_run_that_cancels_itself_has_ended_with_that() -> None:
    async def program(step: Any) -> Any:
        raise asyncio.CancelledError

    assert isinstance(Play(program).error, asyncio.CancelledError)
