"""Every shape of asyncio that a workflow may have: what is asked for at once, and what comes of each order of answers."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from tests.replay.play import Play

ORDERS = list(itertools.permutations(["a-1", "b-1", "c-1"]))


def one() -> Any:
    return 1


def two() -> Any:
    return 2


def test_nothing_is_asked_before_it_is_awaited() -> None:
    async def program(step: Any) -> Any:
        later = step.do("a", one)
        first = await step.do("b", two)
        return [first, await later]

    play = Play(program)

    assert play.waits_for == ["do 'b-1'"]
    play.execute_all()
    assert play.value == [2, 1]


def test_steps_in_sequence_are_asked_for_one_after_the_other() -> None:
    async def program(step: Any) -> Any:
        return [await step.do("a", one), await step.do("b", two)]

    play = Play(program)
    assert play.waits_for == ["do 'a-1'"]
    play.execute("a-1")
    assert play.waits_for == ["do 'b-1'"]
    play.execute("b-1")
    assert play.value == [1, 2]
    assert play.asked == ["1: do 'a-1'", "2: do 'b-1'"]


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_gather_asks_for_all_at_once_and_keeps_the_order_of_asking(order: tuple[str, ...]) -> None:
    async def program(step: Any) -> Any:
        return await asyncio.gather(*(step.do(name, one) for name in "abc"))

    play = Play(program)
    assert play.waits_for == ["do 'a-1'", "do 'b-1'", "do 'c-1'"]
    for label in order:
        play.answer(label, label)
    assert play.value == ["a-1", "b-1", "c-1"]


def test_gather_raises_the_first_error_and_lets_the_others_go_on() -> None:
    async def program(step: Any) -> Any:
        with pytest.raises(ValueError, match="no"):
            await asyncio.gather(step.do("a", one), step.do("b", one))
        await step.do("after", one)

    play = Play(program)
    play.fail("b-1", ValueError("no"))
    assert play.waits_for == ["do 'a-1'", "do 'after-1'"]
    assert play.given_up == []


def test_gather_can_collect_errors() -> None:
    async def program(step: Any) -> Any:
        found = await asyncio.gather(step.do("a", one), step.do("b", one), return_exceptions=True)
        return [str(result) for result in found]

    play = Play(program)
    play.fail("b-1", ValueError("no"))
    play.answer("a-1", 1)
    assert play.value == ["1", "no"]


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_as_completed_gives_tasks_in_the_order_they_were_answered(order: tuple[str, ...]) -> None:
    async def program(step: Any) -> Any:
        tasks = [asyncio.create_task(step.do(name, one)) for name in "abc"]
        return [await done for done in asyncio.as_completed(tasks)]

    play = Play(program)
    for label in order:
        play.answer(label, label)
    assert play.value == list(order)


def test_as_completed_over_coroutines_is_refused_because_their_order_is_random() -> None:
    async def program(step: Any) -> Any:
        steps = [step.do("a", one), step.do("b", one)]
        try:
            return [await done for done in asyncio.as_completed(steps)]
        finally:
            for never_started in steps:
                never_started.close()

    assert "asyncio.create_task" in str(Play(program).error)


def test_wait_returns_at_the_first_answer_and_the_others_stay() -> None:
    async def program(step: Any) -> Any:
        tasks = [asyncio.create_task(step.do(name, one)) for name in "abc"]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        first = [task.result() for task in done]
        return first + [await task for task in tasks if task in pending]

    play = Play(program)
    play.answer("b-1", "b")
    assert play.waits_for == ["do 'a-1'", "do 'c-1'"]
    play.answer("c-1", "c")
    play.answer("a-1", "a")
    assert play.value == ["b", "a", "c"]


def test_wait_for_all_with_a_timeout_sets_a_durable_timer() -> None:
    async def program(step: Any) -> Any:
        tasks = [asyncio.create_task(step.do(name, one)) for name in "ab"]
        done, pending = await asyncio.wait(tasks, timeout=60)
        return len(done), len(pending)

    play = Play(program)
    # The tasks have not had their turn when the timer is started.
    assert play.asked == ["1: timer 'asyncio-1' 60000 ms", "2: do 'a-1'", "3: do 'b-1'"]
    play.answer("a-1", 1)
    play.fire("asyncio-1")
    assert play.value == (1, 1)


def test_the_tasks_of_a_group_all_end_before_it_does() -> None:
    async def program(step: Any) -> Any:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(step.do(name, one)) for name in "ab"]
        return [task.result() for task in tasks]

    play = Play(program)
    play.answer("b-1", "b")
    assert not play.ended
    play.answer("a-1", "a")
    assert play.value == ["a", "b"]


def test_an_error_in_a_group_gives_up_the_other_steps_in_the_order_they_were_started() -> None:
    async def program(step: Any) -> Any:
        try:
            async with asyncio.TaskGroup() as group:
                for name in "abcdefgh":
                    group.create_task(step.do(name, one))
        except ExceptionGroup as errors:
            return [str(error) for error in errors.exceptions]

    play = Play(program)
    play.fail("d-1", ValueError("no"))
    assert play.value == ["no"]
    assert play.given_up == [f"do '{name}-1'" for name in "abcefgh"]


def test_tasks_made_with_create_task_run_beside_the_function() -> None:
    async def program(step: Any) -> Any:
        async def twice(name: str) -> int:
            return await step.do(name, one) + await step.do(name, one)

        task = asyncio.create_task(twice("a"))
        own = await step.do("b", two)
        return own, await task

    play = Play(program)
    assert play.waits_for == ["do 'b-1'", "do 'a-1'"]
    play.execute_all()
    assert play.value == (2, 2)
    assert play.asked == ["1: do 'b-1'", "2: do 'a-1'", "3: do 'a-2'"]


def test_a_queue_hands_results_from_one_task_to_another() -> None:
    async def program(step: Any) -> Any:
        queue: asyncio.Queue[int] = asyncio.Queue(maxsize=1)

        async def produce() -> None:
            for name in "abc":
                await queue.put(await step.do(f"read {name}", one))

        async def consume() -> int:
            return sum([await step.do("store", lambda value: value, await queue.get()) for _ in range(3)])

        _, total = await asyncio.gather(produce(), consume())
        return total

    play = Play(program)
    play.execute("read a-1")
    assert play.waits_for == ["do 'read b-1'", "do 'store-1'"]
    play.execute_all()
    assert play.value == 3


def test_an_event_of_asyncio_wakes_those_who_wait_for_it_in_their_order() -> None:
    async def program(step: Any) -> Any:
        opened, order = asyncio.Event(), []

        async def guest(name: str) -> None:
            await opened.wait()
            order.append(await step.do(name, lambda: name))

        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(guest(name))
            await step.do("open", one)
            opened.set()
        return order

    play = Play(program)
    assert play.waits_for == ["do 'open-1'"]
    play.execute("open-1")
    assert play.waits_for == ["do 'a-1'", "do 'b-1'", "do 'c-1'"]
    for label in ("c-1", "a-1", "b-1"):
        play.execute(label)
    assert play.value == ["c", "a", "b"]


def test_a_semaphore_bounds_how_many_steps_are_asked_for() -> None:
    async def program(step: Any) -> Any:
        room = asyncio.Semaphore(2)

        async def bounded(name: str) -> Any:
            async with room:
                return await step.do(name, one)

        return await asyncio.gather(*(bounded(name) for name in "abc"))

    play = Play(program)
    assert play.waits_for == ["do 'a-1'", "do 'b-1'"]
    play.execute("b-1")
    assert play.waits_for == ["do 'a-1'", "do 'c-1'"]
