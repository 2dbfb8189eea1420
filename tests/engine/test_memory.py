"""A finished step is remembered: its body never runs again, and every reader sees the one result."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from orchestrator import WorkflowEntrypoint
from tests.engine.bench import Bench, Bodies, steps_of
from tests.engine.clock import START_MS


class Money(BaseModel):
    cents: int


@pytest.mark.cloudflare(78)
def test_a_workflow_returns_its_output(bench: Bench, bodies: Bodies) -> None:
    class Hello(WorkflowEntrypoint[dict[str, str]]):
        async def run(self, event: Any, step: Any) -> str:
            name: str = await step.do("look up", bodies("look up", lambda: event.payload["name"]))
            return f"hello {name}"

    instance = bench.run(Hello, {"name": "ann"})
    assert instance.result(timeout=0) == "hello ann"
    assert bodies.ran == ["look up"]


def test_a_replay_answers_from_the_journal_and_runs_no_body_again(bench: Bench, bodies: Bodies) -> None:
    class Slow(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[str]:
            first = await step.do("first", bodies("first"))
            await step.sleep("rest", "1 hour")
            second = await step.do("second", bodies("second"))
            await step.sleep("rest", "1 hour")
            return [first, second]

    instance = bench.run(Slow)
    for _ in range(2):
        bench.restart_process()
        bench.after("1 hour")
    assert instance.result(timeout=0) == ["first", "second"]
    assert bodies.ran == ["first", "second"]


def test_the_value_a_workflow_sees_has_been_through_serialisation_on_the_first_run_and_on_replay(bench: Bench) -> None:
    class Types(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            untyped = await step.do("untyped", lambda: (1, {"when": datetime(2027, 1, 1, tzinfo=UTC)}))

            def price() -> Money:
                return Money(cents=5)

            typed = await step.do("typed", price)
            await step.sleep("rest", "1 hour")
            return [type(untyped).__name__, untyped, type(typed).__name__, typed.cents]

    expected = ["list", [1, {"when": "2027-01-01T00:00:00Z"}], "Money", 5]
    hot = bench.run(Types)
    bench.after("1 hour")
    assert hot.result(timeout=0) == expected
    replayed = bench.run(Types)
    bench.restart_process()
    bench.after("1 hour")
    assert replayed.result(timeout=0) == expected


@pytest.mark.cloudflare(6)
def test_the_same_name_again_is_the_next_occurrence(bench: Bench, bodies: Bodies) -> None:
    class Loop(WorkflowEntrypoint):
        def run(self, event: Any, step: Any) -> list[int]:
            return [step.do("roll", lambda ctx: ctx.step.count) for _ in range(3)]

    instance = bench.run(Loop)
    assert instance.result(timeout=0) == [1, 2, 3]
    assert list(steps_of(instance)) == ["roll-1", "roll-2", "roll-3"]


def test_a_blocking_workflow_is_replayed_as_an_async_one_is(bench: Bench, bodies: Bodies) -> None:
    class Plain(WorkflowEntrypoint):
        def run(self, event: Any, step: Any) -> list[Any]:
            first = step.do("first", bodies("first"))
            step.sleep("rest", "3 days")

            @step.do("second")
            async def second() -> str:
                bodies.ran.append("second")
                return "second"

            return [first, second()]

    instance = bench.run(Plain)
    assert instance.status().status == "waiting"
    bench.restart_process()
    bench.after("3 days")
    assert instance.result(timeout=0) == ["first", "second"]
    assert bodies.ran == ["first", "second"]


@pytest.mark.cloudflare(74)
def test_an_error_keeps_its_class_and_message_on_the_first_run_and_on_replay(bench: Bench) -> None:
    class Careful(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[str]:
            seen = []
            for _ in range(2):
                try:
                    await step.do("look", {"retries": {"limit": 0, "delay": 0}}, lambda: {}["key"])
                except KeyError as error:
                    seen.append(f"{type(error).__name__}: {error}")
                await step.sleep("rest", "1 hour")
            return seen

    instance = bench.run(Careful)
    bench.restart_process()
    bench.after("1 hour")
    bench.restart_process()
    bench.after("1 hour")
    assert instance.result(timeout=0) == ["KeyError: 'key'"] * 2


def test_a_workflow_that_catches_everything_still_suspends(bench: Bench, bodies: Bodies) -> None:
    class Greedy(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            for name in ("one", "two"):
                try:
                    await step.do(name, bodies(name))
                    await step.sleep(f"after {name}", "1 hour")
                except Exception:
                    return "swallowed"
            return "done"

    instance = bench.run(Greedy)
    bench.restart_process()
    bench.after("1 hour")
    bench.after("1 hour")
    assert instance.result(timeout=0) == "done"
    assert bodies.ran == ["one", "two"]


def test_time_chance_and_ids_are_the_same_on_every_replay(bench: Bench) -> None:
    seen: list[tuple[Any, ...]] = []

    class Lucky(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            drawn = [step.random(), str(step.uuid()), step.now().timestamp()]
            await step.sleep("rest", "1 hour")
            drawn += [step.random(), str(step.uuid()), step.now().timestamp()]
            seen.append(tuple(drawn))
            await step.sleep("rest", "1 hour")
            return drawn

    instance = bench.run(Lucky)
    bench.after("1 hour")
    bench.restart_process()
    bench.after("1 hour")
    assert len(seen) == 2
    assert seen[0] == seen[1] == tuple(instance.result(timeout=0))
    assert seen[0][2] == START_MS / 1000
    assert seen[0][5] == START_MS / 1000 + 3600
    other = bench.run(Lucky)
    bench.after("2 hours")
    bench.after("2 hours")
    assert other.result(timeout=0)[0] != seen[0][0]
