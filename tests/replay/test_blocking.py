"""`def run`: the same steps without `await`, side by side with gather and race, parked in greenlets wherever they wait."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from orchestrator.errors import NotAllowedInWorkflow
from tests.replay.play import Play


def one() -> Any:
    return 1


def test_steps_in_loops_and_branches_return_their_results() -> None:
    def program(step: Any) -> Any:
        total = 0
        for number in range(3):
            total += step.do("add", lambda number: number, number)
            if number == 1:
                step.sleep("half-time", "1 minute")
        return total

    play = Play(program)
    play.execute("add-1")
    play.execute("add-2")
    assert play.asked[-1] == "3: sleep 'half-time-1' 60000 ms"
    play.fire("half-time-1")
    play.execute("add-3")
    assert play.value == 3
    assert Play(program, play.journal).history() == play.history()


def test_steps_may_be_called_at_any_depth_of_ordinary_functions() -> None:
    def program(step: Any) -> Any:
        def walk(depth: int) -> Any:
            return step.do("leaf", one) if depth == 0 else walk(depth - 1) + walk(depth - 1)

        return sum(walk(1) for _ in range(2))

    play = Play(program)
    play.execute_all()
    assert play.value == 4
    assert len(play.asked) == 4


def test_an_error_is_raised_where_the_step_was_called() -> None:
    def program(step: Any) -> Any:
        try:
            step.do("charge", one)
        except PermissionError as error:
            return f"caught {error}"

    play = Play(program)
    play.fail("charge-1", PermissionError("declined"))
    assert play.value == "caught declined"


def test_a_decorated_step_runs_when_it_is_called() -> None:
    def program(step: Any) -> Any:
        @step.do("charge", retries={"limit": 1, "delay": "1 second"})
        def charge(ctx: Any) -> Any:
            return ctx.attempt

        return [charge(), charge()]

    play = Play(program)
    assert play.step("charge-1").config.retries.limit == 1
    play.execute("charge-1", attempt=2)
    play.execute("charge-2")
    assert play.value == [2, 1]


def test_gather_runs_steps_and_functions_side_by_side() -> None:
    def program(step: Any) -> Any:
        @step.do
        def decorated() -> Any:
            return "decorated"

        def chain() -> Any:
            return step.do("first", one) + step.do("second", one)

        return step.gather(decorated, chain, lambda: step.wait_for_event("answer", "answer").payload)

    play = Play(program)
    assert play.waits_for == ["do 'first-1'", "waitForEvent 'answer-1'", "do 'decorated-1'"]
    play.execute("first-1")
    play.send("answer-1", 42)
    play.execute("decorated-1")
    play.execute("second-1")
    assert play.value == ["decorated", 2, 42]
    assert Play(program, play.journal).history() == play.history()


def test_gather_raises_the_first_error() -> None:
    def program(step: Any) -> Any:
        with pytest.raises(ValueError, match="no"):
            step.gather(lambda: step.do("a", one), lambda: step.do("b", one))
        return step.do("after", one)

    play = Play(program)
    play.fail("b-1", ValueError("no"))
    assert play.waits_for == ["do 'a-1'", "do 'after-1'"]


def test_gather_of_nothing_is_an_empty_list() -> None:
    assert Play(lambda step: step.gather()).value == []


def test_a_race_is_won_by_who_is_answered_first_and_the_others_may_clean_up() -> None:
    log: list[str] = []

    def program(step: Any) -> Any:
        def careful() -> Any:
            try:
                step.do("rent", one)
            except Exception:
                log.append("caught")
            finally:
                log.append("cleaned up")

        winner = step.race(careful, lambda: step.do("quick", one), lambda: step.sleep("patience", "1 hour"))
        return winner, step.do("after", one)

    play = Play(program)
    play.answer("quick-1", "quick")
    assert log == ["cleaned up"]
    assert play.given_up == ["do 'rent-1'", "sleep 'patience-1'"]
    play.execute("after-1")
    assert play.value == ("quick", 1)


def test_a_race_ends_with_the_error_of_who_failed_first() -> None:
    def program(step: Any) -> Any:
        return step.race(lambda: step.do("a", one), lambda: step.do("b", one))

    play = Play(program)
    play.fail("a-1", ValueError("no"))
    assert isinstance(play.error, ValueError)
    assert play.given_up == ["do 'b-1'"]


def test_races_and_gathers_can_be_nested() -> None:
    def program(step: Any) -> Any:
        def race(name: str) -> Any:
            return step.race(lambda: step.do(f"{name} quick", one), lambda: step.do(f"{name} slow", one))

        return step.gather(lambda: race("a"), lambda: race("b"))

    play = Play(program)
    play.answer("b slow-1", "b")
    play.answer("a quick-1", "a")
    assert play.value == ["a", "b"]
    assert play.given_up == ["do 'b quick-1'", "do 'a slow-1'"]


def test_a_step_of_a_thread_is_refused() -> None:
    caught: list[BaseException] = []

    def program(step: Any) -> Any:
        def elsewhere() -> None:
            try:
                step.do("a", one)
            except NotAllowedInWorkflow as error:
                caught.append(error)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()

    Play(program)
    assert "not from a thread or a step body" in str(caught[0])


def test_what_went_wrong_shows_the_line_of_the_author() -> None:
    def program(step: Any) -> Any:
        step.do("a", one)
        raise LookupError("the author's own line")

    play = Play(program)
    play.execute("a-1")
    frames = []
    trace = play.error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert frames[-1] == "program"
