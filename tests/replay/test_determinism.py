"""The one property replay stands on: whatever a program does and in whatever order it is answered, a replay does the same."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator import EventTimeoutError
from orchestrator.authoring.commands import AwaitEvent, Command, RunStep
from orchestrator.authoring.workflow import Definition
from orchestrator.errors import ReplayMismatch
from orchestrator.replay.journal import Entry
from orchestrator.serialization import encode, encode_error
from tests.replay.play import Play, workflow
from tests.replay.random_programs import BLOCKING_PROGRAMS, PROGRAMS, Op, interpret, interpret_blocking

CHOICES = st.lists(st.integers(0, 999), max_size=60)
MOST_ANSWERS = 80

quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def compiled(program: Op) -> Definition:
    async def run(step: Any) -> Any:
        return await interpret(program, step)

    return workflow(run)


def compiled_blocking(program: Op) -> Definition:
    def run(step: Any) -> Any:
        return interpret_blocking(program, step)

    return workflow(run)


def answered(command: Command, choice: int, ended_at: int) -> Entry:
    """A result, an error or an event for a command, as the choice will have it."""
    entry = Entry(command.key, command.position, ended_at)
    if isinstance(command, RunStep):
        if choice % 5 == 4:
            entry.error = encode_error(ValueError(f"choice {choice}"))
        else:
            entry.result = encode(choice)
    elif isinstance(command, AwaitEvent):
        if choice % 5 == 4:
            entry.error = encode_error(EventTimeoutError.after(1000))
        else:
            entry.result = encode({"payload": choice, "timestamp": ended_at, "type": command.event_type})
    return entry


def live(definition: Definition, choices: list[int], restarts_after: Collection[int] = ()) -> Play:
    """Answer what is asked for in the order of the choices, starting a new life of the instance now and then."""
    play = Play(definition)
    late: dict[str, Command] = {}
    for number in range(MOST_ANSWERS):
        if play.ended:
            break
        known = dict(play.run.outstanding)
        # What was given up may still be answered, by a worker that did not know.
        open_commands = [*known.values(), *late.values()]
        if not known:
            break
        choice = choices[number] if number < len(choices) else 0
        command = open_commands[choice % len(open_commands)]
        late.pop(command.key, None)
        play.deliver(answered(command, choice, play.run.now_ms() + choice % 50))
        late.update(
            {key: gone for key, gone in known.items() if key not in play.run.outstanding and key != command.key}
        )
        if number in restarts_after:
            journal = play.journal
            play.run.close()
            play = Play(definition, journal)
    return play


def told(play: Play) -> tuple[list[Entry], dict[str, Any]]:
    play.run.close()
    return play.journal, play.history()


def same_on_every_replay(definition: Definition, choices: list[int], restart: int) -> None:
    journal, expected = told(live(definition, choices))
    assert told(Play(definition, journal)) == (journal, expected)
    for restarts in ([restart], range(MOST_ANSWERS)):
        assert told(live(definition, choices, restarts)) == (journal, expected)


@quick
@given(PROGRAMS, CHOICES, st.integers(0, 20))
def test_a_replay_asks_for_the_same_and_ends_the_same(program: Op, choices: list[int], restart: int) -> None:
    same_on_every_replay(compiled(program), choices, restart)


@quick
@given(BLOCKING_PROGRAMS, CHOICES, st.integers(0, 20))
def test_a_replay_of_a_blocking_function_does_too(program: Op, choices: list[int], restart: int) -> None:
    same_on_every_replay(compiled_blocking(program), choices, restart)


@quick
@given(BLOCKING_PROGRAMS, CHOICES)
def test_the_positions_of_what_is_asked_for_have_no_gaps(program: Op, choices: list[int]) -> None:
    for make in (compiled, compiled_blocking):
        play = live(make(program), choices)
        assert [int(asked.partition(":")[0]) for asked in play.asked] == [*range(1, len(play.asked) + 1)]
        play.run.close()


def test_the_property_fails_for_a_program_that_depends_on_its_process() -> None:
    lives: list[int] = []

    async def run(step: Any) -> Any:
        lives.append(1)
        await step.do("a" if len(lives) % 2 else "b", len)

    with pytest.raises(ReplayMismatch):
        same_on_every_replay(workflow(run), [], 0)
