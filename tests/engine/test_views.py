"""What people see of an instance is true at every moment: its status, its steps, what it waits for, what they may do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.engine import turns
from orchestrator.engine.activation import advance
from orchestrator.engine.step_runs import run_steps
from orchestrator.inspection import InstanceDetail
from orchestrator.store import attempts, missed
from tests.engine.bench import Bench, Bodies, Failing, steps_of
from tests.engine.clock import START_MS

SEVERAL = ["pause", "terminate", "restart", "send_event", "delete"]


@pytest.mark.cloudflare(51)
def test_the_status_tells_the_truth_from_the_beginning_to_the_end(bench: Bench) -> None:
    seen: list[tuple[str, str | None]] = []

    def look() -> None:
        detail = own.describe()
        seen.append((detail.status, detail.waiting_for))

    class Life(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            await step.do("work", look)
            await step.sleep("nap", "1 hour")
            await step.do("try", {"retries": {"limit": 1, "delay": "2 minutes"}}, Failing(times=1))
            await step.wait_for_event("manager approves", "approval", timeout="24 hours")
            return "done"

    own = bench.create(Life)
    look()
    bench.work()
    look()
    bench.after("1 hour")
    look()
    bench.after("2 minutes")
    look()
    own.pause()
    look()
    own.resume()
    bench.work()
    own.send_event("approval")
    bench.work()
    look()
    assert seen == [
        ("queued", "a worker"),
        ("running", None),
        ("waiting", "nap-1 to end (a sleep of 1h)"),
        ("waiting", "the next attempt of try-1 (after 2m)"),
        ("waiting", "event 'approval' (manager approves-1, for 1d at most)"),
        ("paused", "paused; resume it to go on"),
        ("complete", None),
    ]


def test_a_new_instance_is_shown_as_it_was_created(bench: Bench, bodies: Bodies) -> None:
    class One(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.do("one", bodies("one"))

    instance = bench.create(One, {"n": 1}, id="first")
    detail = instance.describe()
    assert detail == InstanceDetail(
        id="first", workflow="one", status="queued", run=1, created_at=START_MS, started_at=None, ended_at=None,
        modified_at=START_MS, trigger="api", cursor=detail.cursor, params={"n": 1}, output=None, error=None,
        step_count=0, steps=[], waiting_for="a worker", allowed_actions=SEVERAL, version=detail.version,
    )  # fmt: skip
    assert detail.to_dict()["steps"] == []


def test_times_say_when_it_was_created_begun_and_ended(bench: Bench) -> None:
    class Nap(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.sleep("nap", "1 hour")

    instance = bench.create(Nap)
    bench.after("3 seconds")
    bench.after("1 hour")
    detail = instance.describe()
    assert (detail.created_at, detail.started_at, detail.ended_at) == (START_MS, START_MS + 3000, START_MS + 3_603_000)


def test_a_step_is_shown_with_its_attempts_results_and_policy(bench: Bench) -> None:
    class Shaky(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            await step.do("plain", lambda: {"a": 1})
            return await step.do("shaky", {"retries": {"limit": 2, "delay": "1 minute"}}, Failing(times=1))

    instance = bench.run(Shaky)
    plain, shaky = instance.describe().steps
    assert (plain.name, plain.count, plain.label, plain.kind, plain.status) == ("plain", 1, "plain-1", "do", "complete")
    assert (plain.output, plain.error, plain.attempts) == ({"a": 1}, None, 1)
    assert plain.config == {
        "retries": {"limit": 5, "delay": 10_000, "backoff": "exponential"}, "timeout": "10 minutes",
    }  # fmt: skip
    assert (shaky.status, shaky.due_at, shaky.attempts) == ("retrying", START_MS + 60_000, 1)
    assert shaky.error == {"name": "ValueError", "message": "no"}
    bench.after("1 minute")
    shaky = steps_of(instance)["shaky-1"]
    assert (shaky.status, shaky.output, shaky.attempts) == ("complete", "done", 2)
    assert (shaky.started_at, shaky.ended_at) == (START_MS, START_MS + 60_000)
    assert [(a.attempt, a.status, a.started_at, a.ended_at, a.error) for a in shaky.attempt_log] == [
        (1, "errored", START_MS, START_MS, {"name": "ValueError", "message": "no"}),
        (2, "complete", START_MS + 60_000, START_MS + 60_000, None),
    ]
    assert {attempt.worker for attempt in shaky.attempt_log} == {bench.runtime.worker_id}
    assert shaky.config is not None
    assert shaky.config["retries"] == {"limit": 2, "delay": "1 minute", "backoff": "exponential"}


def test_waits_are_shown_while_they_last_and_after(bench: Bench) -> None:
    class Waits(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await asyncio.gather(
                step.sleep("nap", "1 hour"),
                step.sleep_until("alarm", START_MS + 1000),
                step.wait_for_event("wait", "news", timeout="2 hours"),
                asyncio.sleep(60),
            )

    instance = bench.run(Waits)
    shown = steps_of(instance)
    assert {label: (step.kind, step.status, step.due_at) for label, step in shown.items()} == {
        "nap-1": ("sleep", "waiting", START_MS + 3_600_000),
        "alarm-1": ("sleep", "waiting", START_MS + 1000),
        "wait-1": ("waitForEvent", "waiting", START_MS + 7_200_000),
        "asyncio-1": ("timer", "waiting", START_MS + 60_000),
    }
    waiting_for = instance.describe().waiting_for
    assert waiting_for is not None
    assert waiting_for.endswith(" and 1 more")
    bench.clock.advance("1 minute")
    instance.send_event("news", {"n": 1})
    bench.work()
    shown = steps_of(instance)
    assert [shown[label].status for label in ("alarm-1", "wait-1", "asyncio-1", "nap-1")] == [
        "complete", "complete", "complete", "waiting",
    ]  # fmt: skip
    assert shown["wait-1"].output["payload"] == {"n": 1}
    assert shown["wait-1"].started_at == START_MS
    assert shown["wait-1"].config == {"type": "news"}


def test_steps_are_listed_in_the_order_in_which_they_were_asked_for(bench: Bench, bodies: Bodies) -> None:
    class Mixed(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await asyncio.gather(
                step.sleep("first", "1 hour"), step.do("second", bodies("second")), step.wait_for_event("third", "news")
            )

    instance = bench.run(Mixed)
    assert [step.label for step in instance.describe().steps] == ["first-1", "second-1", "third-1"]


def test_whatever_changes_changes_the_version(bench: Bench, bodies: Bodies) -> None:
    class Mixed(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.sleep("nap", 5)
            await step.wait_for_event("wait", "news")
            await asyncio.gather(*(step.do(f"part {n}", {"queue": "gpu"}, bodies("part")) for n in range(2)))

    instance = bench.create(Mixed)
    gpu = bench.worker(registry=bench.registry, queues=("gpu",))
    versions = [instance.describe().version]
    for act in (
        bench.work,
        lambda: bench.after(5),
        instance.pause,
        instance.resume,
        lambda: instance.send_event("news"),
        bench.work,
        lambda: bench.work(gpu),
        bench.work,
        instance.restart,
        instance.terminate,
    ):
        act()
        versions.append(instance.describe().version)
    assert len(set(versions)) == len(versions)


def test_an_instance_that_ends_while_somebody_looks_is_shown_as_it_was(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Patient(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.wait_for_event("word", "word")

    real = attempts.of_run

    def look(*args: Any) -> Any:
        monkeypatch.undo()
        instance.terminate()
        return real(*args)

    instance = bench.create(Patient)
    bench.work()
    before = instance.describe()
    monkeypatch.setattr(attempts, "of_run", look)
    assert instance.describe() == before
    assert (before.status, instance.describe().status) == ("waiting", "terminated")


@pytest.mark.parametrize("action", ["terminate", "restart", "delete"])
def test_a_step_of_another_worker_is_not_run_here_when_its_instance_ends_while_somebody_looks(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    class Fan(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await asyncio.gather(step.do("here", here), step.do("there", bodies("there")))

    def here() -> str:
        turns.claim(bench.worker(registry=bench.registry), pk, 1)
        instance.pause()
        instance.resume()  # news: the holder looks at everything anew when this body has ended
        return str(bodies("here")())

    real = missed.read

    def look(*args: Any, **named: Any) -> Any:
        if "here" in bodies.ran:
            monkeypatch.undo()
            getattr(instance, action)()
        return real(*args, **named)

    monkeypatch.setattr(missed, "read", look)
    instance = bench.create(Fan)
    (row,) = bench.rows("SELECT id FROM @instances")
    pk = int(row.id)
    advance(bench.runtime, pk)
    assert bodies.ran == ["here"]


@pytest.mark.parametrize("table", ["attempts", "timers", "steps"])
def test_a_step_that_is_settled_while_somebody_looks_is_neither_missed_nor_run_again(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """Each look at a table sees what is committed by then, so the order of the looks has to make up for it."""

    class Fan(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            both = await asyncio.gather(step.do("here", here), step.do("there", bodies("there"), queue="gpu"))
            return [*both, await step.do("after", bodies("after"))]

    def here() -> str:
        instance.send_event("noise")
        instance.pause()
        instance.resume()  # news: the holder looks at everything anew when this body has ended
        return str(bodies("here")())

    gpu = bench.worker(registry=bench.registry, queues=("gpu",))
    between: list[str] = []

    def one_by_one(connection: Any, *asked: Any) -> list[Any]:
        found = []
        for looked_at, (statement, values) in zip(("attempts", "timers", "steps"), asked, strict=True):
            if looked_at == table and "here" in bodies.ran and not between:
                between.append(table)
                run_steps(gpu, pk)
            found.append(statement(connection, values))
        return found

    monkeypatch.setattr(missed, "together", one_by_one)
    instance = bench.create(Fan)
    (row,) = bench.rows("SELECT id FROM @instances")
    pk = int(row.id)
    advance(bench.runtime, pk)
    bench.after("10 seconds")
    assert between
    assert instance.result(timeout=0) == ["here", "there", "after"]
    assert sorted(bodies.ran) == ["after", "here", "there"]
