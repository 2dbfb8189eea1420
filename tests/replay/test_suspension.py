"""A workflow that waits is put away without its code noticing: no `except` catches it, and `finally` can't ask for steps."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from orchestrator.replay.journal import Entry
from tests.replay.play import Play


def one() -> Any:
    return 1


async def async_steps(step: Any, log: list[str]) -> str:
    for name in ("a", "b"):
        try:
            await step.do(name, one)
        except Exception as error:
            log.append(f"caught {error!r}")
    try:
        await step.sleep("nap", "1 day")
    except Exception as error:
        log.append(f"caught {error!r}")
    try:
        await step.wait_for_event("answer", "answer")
    except Exception as error:
        log.append(f"caught {error!r}")
    return "done"


def blocking_steps(step: Any, log: list[str]) -> str:
    for name in ("a", "b"):
        try:
            step.do(name, one)
        except Exception as error:
            log.append(f"caught {error!r}")
    try:
        step.sleep("nap", "1 day")
    except Exception as error:
        log.append(f"caught {error!r}")
    try:
        step.wait_for_event("answer", "answer")
    except Exception as error:
        log.append(f"caught {error!r}")
    return "done"


@pytest.mark.parametrize("colour", ["async", "blocking"])
def test_except_exception_around_every_step_catches_nothing_but_its_errors(colour: str) -> None:
    log: list[str] = []
    if colour == "async":

        async def program(step: Any) -> Any:
            return await async_steps(step, log)
    else:

        def program(step: Any) -> Any:  # type: ignore[misc]
            return blocking_steps(step, log)

    # Each answer is given to a new life of the instance, which replays what was before.
    play = Play(program)
    for answer in (
        lambda p: p.answer("a-1", 1),
        lambda p: p.fail("b-1", ValueError("no")),
        lambda p: p.fire("nap-1"),
        lambda p: p.send("answer-1", 42),
    ):
        journal = play.journal
        play.run.close()
        log.clear()
        play = Play(program, journal)
        answer(play)

    assert play.value == "done"
    assert log == ["caught ValueError('no')"]


@pytest.mark.parametrize(
    "cleaning_up",
    [
        pytest.param(lambda step: step.do("clean", one), id="a step"),
        pytest.param(lambda step: step.do("clean")(one)(), id="a decorated step"),
        pytest.param(lambda step: step.sleep("nap", 1), id="a sleep"),
        pytest.param(lambda step: step.wait_for_event("answer", "answer"), id="an event"),
        pytest.param(lambda step: asyncio.sleep(1), id="a timer"),
        pytest.param(lambda step: asyncio.sleep(0), id="a turn"),
        pytest.param(lambda step: asyncio.gather(step.do("clean", one)), id="gather"),
    ],
)
def test_finally_runs_when_a_run_is_put_away_but_its_steps_do_not(cleaning_up: Any) -> None:
    log: list[str] = []

    async def program(step: Any) -> Any:
        try:
            try:
                await step.do("a", one)
            finally:
                log.append("finally")
                await cleaning_up(step)
                log.append("went on")
        except Exception as error:
            log.append(f"caught {error!r}")

    play = Play(program)
    play.run.close()
    del play
    gc.collect()

    assert log == ["finally"]


def test_a_run_that_is_put_away_asks_for_nothing_more() -> None:
    async def program(step: Any) -> Any:
        try:
            await asyncio.gather(step.do("a", one), step.do("b", one))
        finally:
            await step.do("clean", one)

    play = Play(program)
    play.run.close()
    assert play.run.new == {}
    assert play.run.outcome is None
    assert play.waits_for == ["do 'a-1'", "do 'b-1'"]


def test_a_run_is_put_away_with_all_of_its_tasks_the_youngest_first() -> None:
    log: list[str] = []

    async def program(step: Any) -> Any:
        async def task(name: str) -> None:
            try:
                await step.do(name, one)
            finally:
                log.append(name)
                await step.do("clean", one)

        try:
            async with asyncio.TaskGroup() as group:
                for name in "abc":
                    group.create_task(task(name))
        finally:
            log.append("run")

    play = Play(program)
    play.run.close()
    assert log == ["c", "b", "a", "run"]


def test_blocking_functions_are_put_away_with_all_of_their_branches() -> None:
    log: list[str] = []

    def program(step: Any) -> Any:
        def branch(name: str) -> None:
            try:
                step.do(name, one)
            except Exception as error:
                log.append(f"caught {error!r}")
            finally:
                log.append(name)
                step.do("clean", one)

        try:
            step.gather(lambda: branch("a"), lambda: branch("b"))
        finally:
            log.append("run")
            step.gather(lambda: branch("never"))

    play = Play(program)
    assert play.waits_for == ["do 'a-1'", "do 'b-1'"]
    play.run.close()
    assert log == ["b", "a", "run"]
    assert play.run.new == {}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_code_that_refuses_to_be_put_away_is_left_behind() -> None:
    async def program(step: Any) -> Any:
        while True:
            try:
                await asyncio.get_running_loop().create_future()
            except BaseException:
                pass

    play = Play(program)
    play.run.close()
    play.run.close()
    assert not play.ended


def test_system_exit_in_run_is_an_error_of_the_run_and_not_the_end_of_the_worker() -> None:
    async def program(step: Any) -> Any:
        raise SystemExit(3)

    assert isinstance(Play(program).error, SystemExit)


def test_system_exit_in_a_task_reaches_whoever_waits_for_it() -> None:
    async def program(step: Any) -> Any:
        async def leave() -> None:
            raise SystemExit(3)

        await asyncio.gather(leave(), step.do("a", one))

    assert isinstance(Play(program).error, SystemExit)


def test_nothing_stays_in_the_list_of_all_tasks_that_asyncio_keeps() -> None:
    loops = []

    async def program(step: Any) -> Any:
        loops.append(asyncio.get_running_loop())
        await asyncio.gather(*(step.do("a", one) for _ in range(50)))

    play = Play(program)
    assert len(play.waits_for) == 50
    assert asyncio.all_tasks(loops[0]) == set()


def test_what_was_asked_for_and_answered_is_not_kept() -> None:
    async def program(event: Any, step: Any) -> None:
        for _ in range(5):
            await step.do("a", one)

    play = Play(program)
    asked = []
    while play.run.outcome is None:
        (command,) = play.run.outstanding.values()
        asked.append(command)
        play.run.deliver(Entry(command.key, command.position, 1, "1"))
        assert asked[-1].key not in play.run.new
    assert len(asked) == 5
