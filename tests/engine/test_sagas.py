"""Undoing what a failed workflow has done: which steps, in which order, with what, and what becomes of the instance."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from orchestrator import BlockingWorkflowStep, WorkflowEntrypoint
from orchestrator.errors import InstanceErrored, InvalidStepConfig, WorkflowFatalError
from tests.engine.bench import Bench, Bodies, Failing

NOW = {"retries": {"limit": 1, "delay": 0}}
COMPLETE = {"outcome": "complete", "error": None}


class Undone(Exception):
    """What the workflows of this file fail with."""


def rollbacks(bench: Bench) -> list[tuple[str, str, int]]:
    """(key, error or nothing, attempts) of what was undone, in order."""
    found = bench.rows("SELECT key, error, attempts FROM @steps WHERE key LIKE 'rollback:%' ORDER BY seq")
    return [(row.key, row.error and "error", row.attempts) for row in found]


def program(*names: str, undo: Callable[[str], Any], then: Callable[[Any], Any] | None = None) -> Any:
    """Steps one after another, each with a handler, and then an error."""

    class Steps(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            for name in names:
                await step.do(name, lambda name=name: f"{name} done", rollback=undo(name))
            if then is not None:
                await then(step)
            raise Undone("over")

    return Steps


@pytest.mark.cloudflare(54)
def test_steps_are_undone_in_reverse_order_and_the_instance_errs_with_what_it_failed_with(
    bench: Bench, bodies: Bodies
) -> None:
    instance = bench.run(program("a", "b", "c", undo=lambda name: bodies(f"undo {name}")))
    assert bodies.ran == ["undo c", "undo b", "undo a"]
    state = instance.status()
    assert (state.status, state.error) == ("errored", {"name": "Undone", "message": "over"})
    assert state.rollback == COMPLETE
    with pytest.raises(InstanceErrored, match="over"):
        instance.result(timeout=0)
    detail = instance.describe()
    assert detail.rollback == COMPLETE
    shown = [(step.kind, step.label, step.status, step.attempts) for step in detail.steps]
    assert shown == [
        *(("do", f"{name}-1", "complete", 1) for name in "abc"),
        *(("rollback", f"{name}-1", "complete", 1) for name in "cba"),
    ]
    assert all(len(step.attempt_log) == 1 for step in detail.steps)
    assert detail.steps[-1].config == {
        "retries": {"limit": 5, "delay": 10_000, "backoff": "exponential"},
        "timeout": "10 minutes",
    }


def test_a_handler_reads_the_stream_that_its_step_has_returned(bench: Bench) -> None:
    read: list[bytes] = []

    def undo(output: Any) -> None:
        read.append(output.read())

    async def undo_later(output: Any) -> None:
        read.append(await output.aread())

    class Streams(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.do("a", lambda: iter([b"a", b"b"]), rollback=undo)
            await step.do("c", lambda: iter([b"c", b"d"]), rollback=undo_later)
            raise Undone("over")

    assert bench.run(Streams).status().rollback == COMPLETE
    assert read == [b"cd", b"ab"]


@pytest.mark.cloudflare(55)
def test_parallel_steps_are_undone_in_reverse_order_of_their_start(bench: Bench, bodies: Bodies) -> None:
    quick = asyncio.Event()

    class Parallel(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            async def slow() -> None:
                await quick.wait()

            async def fast() -> None:
                quick.set()

            await asyncio.gather(
                step.do("slow", slow, rollback=bodies("undo slow")),
                step.do("fast", fast, rollback=bodies("undo fast")),
            )
            raise Undone

    bench.run(Parallel)
    assert bodies.ran == ["undo fast", "undo slow"]


@pytest.mark.parametrize("colour", ["def", "async def"])
@pytest.mark.cloudflare(56)
def test_a_handler_has_retries_and_timeouts_of_its_own(bench: Bench, colour: str) -> None:
    undo = Failing(2)

    async def undo_later() -> str:
        return undo()

    class Stubborn(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.do(
                "a",
                lambda: None,
                rollback=undo if colour == "def" else undo_later,
                rollback_config={
                    "retries": {"limit": 2, "delay": "1 minute", "backoff": "linear"},
                    "timeout": "5 seconds",
                },
            )
            raise Undone

    instance = bench.run(Stubborn)
    detail = instance.describe()
    assert (detail.status, undo.attempts) == ("rollingBack", 1)
    assert detail.waiting_for == "the next attempt of the rollback of a-1 (after 1m)"
    assert detail.rollback is None
    assert instance.status().error == {"name": "Undone", "message": ""}
    bench.after("1 minute")
    assert (instance.status().status, undo.attempts) == ("rollingBack", 2)
    bench.after("1 minute")
    assert (instance.status().status, undo.attempts) == ("rollingBack", 2), "the delay grows: it is linear"
    bench.after("1 minute")
    assert (instance.status().status, undo.attempts) == ("errored", 3)
    assert instance.status().rollback == COMPLETE
    step = instance.describe().steps[-1]
    assert [(attempt.attempt, attempt.status) for attempt in step.attempt_log] == [
        (1, "errored"),
        (2, "errored"),
        (3, "complete"),
    ]
    assert step.config == {
        "retries": {"limit": 2, "delay": "1 minute", "backoff": "linear"},
        "timeout": "5 seconds",
    }


class Payment(BaseModel):
    id: str


@pytest.mark.cloudflare(57)
def test_a_handler_is_told_what_it_declares(bench: Bench) -> None:
    told: dict[str, Any] = {}

    def charge() -> Payment:
        return Payment(id="p-1")

    def by_names(ctx: Any, error: Any, output: Any, step_name: Any) -> None:
        told["by names"] = (ctx, error, output, step_name)

    async def some(output: Any, *, error: Any) -> None:
        told["some"] = (error, output)

    def none() -> None:
        told["none"] = ()

    def as_object(info: Any) -> None:
        told["as object"] = (info.ctx, info.error, info.output, info["stepName"])

    class Told(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            for handler in (none, some, as_object, by_names):
                await step.do("charge", NOW, charge, rollback=handler)
            raise Undone("over")

    instance = bench.run(Told)
    assert instance.status().rollback == COMPLETE
    assert list(told) == ["by names", "as object", "some", "none"]
    ctx, error, output, step_name = told["by names"]
    assert (ctx.step.name, ctx.step.count, ctx.attempt, step_name) == ("charge", 4, 1, "charge-4")
    assert ctx.config == {"retries": {"limit": 1, "delay": 0, "backoff": "exponential"}, "timeout": "10 minutes"}
    assert (ctx.instance_id, ctx.workflow_name) == (instance.id, "told")
    assert ctx.idempotency_key
    assert isinstance(error, Undone)
    assert str(error) == "over"
    assert output == Payment(id="p-1")
    assert told["as object"][3] == "charge-3"
    assert told["some"][1] == Payment(id="p-1")


@pytest.mark.cloudflare(58)
def test_the_handler_of_a_step_that_failed_runs_without_output(bench: Bench) -> None:
    told: list[Any] = []

    class Failed(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.do("no", NOW, Failing(), rollback=lambda ctx, output: told.append((ctx.attempt, output)))

    instance = bench.run(Failed)
    assert told == [(2, None)]
    assert instance.status().error == {"name": "ValueError", "message": "no"}
    assert instance.status().rollback == COMPLETE


@pytest.mark.cloudflare(59)
def test_a_step_without_a_handler_is_passed_over(bench: Bench, bodies: Bodies) -> None:
    class Some(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.do("a", lambda: None, rollback=bodies("undo a"))
            await step.do("b", lambda: None)
            await step.do("c", lambda: None, rollback=bodies("undo c"))
            raise Undone

    bench.run(Some)
    assert bodies.ran == ["undo c", "undo a"]


@pytest.mark.cloudflare(60)
def test_the_first_handler_that_fails_for_good_ends_the_rollback(bench: Bench, bodies: Bodies) -> None:
    undo = Failing(error=lambda: RuntimeError("the bank is closed"))

    class Three(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.do("a", lambda: None, rollback=bodies("undo a"))
            await step.do("b", lambda: None, rollback=undo, rollback_config=NOW)
            await step.do("c", lambda: None, rollback=bodies("undo c"))
            raise Undone("over")

    instance = bench.run(Three)
    assert bodies.ran == ["undo c"]
    assert undo.attempts == 2
    state = instance.status()
    assert (state.status, state.error) == ("errored", {"name": "Undone", "message": "over"})
    assert state.rollback == {"outcome": "failed", "error": {"name": "RuntimeError", "message": "the bank is closed"}}
    assert rollbacks(bench) == [("rollback:c:1", None, 1), ("rollback:b:1", "error", 2)]
    assert [(s.label, s.status) for s in instance.describe().steps[-2:]] == [("c-1", "complete"), ("b-1", "errored")]


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.cloudflare(61)
def test_terminating_with_rollback_undoes_a_waiting_instance(bench: Bench, bodies: Bodies, crash: bool) -> None:
    errors: list[Any] = []

    async def wait(step: Any) -> None:
        await step.wait_for_event("approval", "approved")

    def undo(name: str) -> Callable[[Any], None]:
        def handler(error: Any) -> None:
            bodies(f"undo {name}")()
            errors.append((type(error).__name__, str(error)))

        return handler

    instance = bench.run(program("a", "b", undo=undo, then=wait))
    assert instance.status().status == "waiting"
    if crash:
        bench.restart_process()
    assert instance.terminate(rollback=True).status == "rollingBack"
    instance.send_event("approved")
    bench.work()
    state = instance.status()
    assert (state.status, state.error, state.rollback) == ("terminated", None, COMPLETE)
    assert bodies.ran == ["undo b", "undo a"]
    assert errors == [("Terminated", "Instance terminated during rollback")] * 2
    assert bench.rows("SELECT * FROM @timers") == []


def test_a_handler_may_not_call_steps(bench: Bench) -> None:
    told: list[BaseException] = []

    class Nested(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            @step.do("decorated")
            async def decorated() -> None: ...

            async def undo() -> None:
                for call in (
                    lambda: step.do("inner", lambda: None),
                    lambda: step.sleep("nap", "1 hour"),
                    lambda: step.wait_for_event("wait", "news"),
                    decorated,
                ):
                    with pytest.raises(WorkflowFatalError) as refused:
                        await call()
                    told.append(refused.value)
                await step.do("inner", lambda: None)

            await step.do("a", lambda: None, rollback=undo, rollback_config=NOW)
            raise Undone

    instance = bench.run(Nested)
    message = "Cannot execute steps during rollback phase"
    assert [str(error) for error in told] == [message] * 4
    assert instance.status().rollback == {
        "outcome": "failed",
        "error": {"name": "WorkflowFatalError", "message": message},
    }
    assert [step.attempts for step in instance.describe().steps if step.kind == "rollback"] == [1], "not retried"


@pytest.mark.cloudflare(64)
def test_a_paused_instance_can_be_terminated_with_rollback(bench: Bench, bodies: Bodies) -> None:
    async def nap(step: Any) -> None:
        await step.sleep("nap", "1 hour")

    instance = bench.run(program("a", undo=lambda name: bodies(f"undo {name}"), then=nap))
    instance.pause()
    assert instance.status().status == "paused"
    instance.terminate(rollback=True)
    bench.work()
    assert (instance.status().status, bodies.ran) == ("terminated", ["undo a"])
    (row,) = bench.rows("SELECT paused_at FROM @instances")
    assert row.paused_at is None


@pytest.mark.cloudflare(65)
def test_nothing_is_undone_after_success_a_caught_error_or_a_plain_terminate(bench: Bench, bodies: Bodies) -> None:
    class Fine(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            try:
                await step.do("a", NOW, Failing(), rollback=bodies("undo a"))
            except ValueError:
                pass
            await step.do("b", lambda: None, rollback=bodies("undo b"))
            if event.payload == "wait":
                await step.sleep("nap", "1 hour")
            return "fine"

    instance = bench.run(Fine, {})
    assert instance.result(timeout=0) == "fine"
    terminated = bench.run(Fine, "wait")
    terminated.terminate()
    bench.after("2 hours")
    for one, status in ((instance, "complete"), (terminated, "terminated")):
        assert (one.status().status, one.status().rollback, one.describe().rollback) == (status, None, None)
    assert bodies.ran == []
    assert rollbacks(bench) == []


def test_a_failing_workflow_without_handlers_has_no_rollback(bench: Bench) -> None:
    class Plain(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.do("a", lambda: None)
            raise Undone

    instance = bench.run(Plain)
    assert (instance.status().status, instance.status().rollback) == ("errored", None)


class Blocking(WorkflowEntrypoint):
    """The same in a `def run`, with each way to write a step."""

    ran: ClassVar[list[Any]] = []

    def run(self, event: Any, step: BlockingWorkflowStep) -> None:
        def undo(output: Any, step_name: str) -> None:
            Blocking.ran.append((step_name, output))

        async def undo_later(step_name: str) -> None:
            Blocking.ran.append((step_name, "later"))

        def nested() -> None:
            step.do("inner", lambda: None)

        @step.do("decorated", rollback=undo, rollback_config=NOW)  # type: ignore[arg-type]
        def decorated() -> int:
            return 1

        @step.do("depending", rollback=undo_later)
        def depending(decorated: int) -> int:
            return decorated + 1

        if event.payload == "nested":
            step.do("nested", lambda: None, rollback=nested)
        depending()
        decorated()
        step.do("direct", NOW, lambda n: n + 1, 2, rollback=undo)  # type: ignore[arg-type]
        raise Undone


def test_a_blocking_workflow_is_undone_too(bench: Bench) -> None:
    Blocking.ran = []
    instance = bench.run(Blocking)
    assert Blocking.ran == [("direct-1", 3), ("decorated-2", 1), ("depending-1", "later"), ("decorated-1", 1)]
    assert instance.status().rollback == COMPLETE
    assert bench.run(Blocking, "nested").status().rollback == {
        "outcome": "failed",
        "error": {"name": "WorkflowFatalError", "message": "Cannot execute steps during rollback phase"},
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rollback": "undo"}, 'Rollback for "a" must be a function'),
        ({"rollback": {"rollback": print}}, 'Rollback for "a" must be a function'),
        (
            {"rollback": print, "rollback_config": 3},
            'Rollback config for "a" is in a invalid format: 3 is not a mapping',
        ),
        (
            {"rollback": print, "rollback_config": {"retries": {"limit": 1}}},
            'Rollback config for "a" is in a invalid format: retries must contain both limit and delay',
        ),
        ({"rollback": print, "rollback_config": {"timeout": 0}}, "timeout must be longer than 0"),
        ({"rollback": print, "rollback_config": {"queue": "gpu"}}, "unknown option 'queue'; known: retries, timeout"),
        ({"rollback_config": {}}, 'Rollback options for "a" have a rollback_config and no rollback function'),
        ({"rollback": lambda ctx, other: None}, 'Rollback for "a" must be a function of any of ctx, error, output'),
        ({"rollback": lambda one, other: None}, "it also asks for one, other"),
    ],
)
@pytest.mark.parametrize("form", ["direct", "decorator"])
def test_what_is_wrong_with_a_handler_is_said_by_the_call(
    bench: Bench, form: str, options: dict[str, Any], message: str
) -> None:
    class Wrong(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            try:
                if form == "direct":
                    await step.do("a", lambda: None, **options)
                else:
                    step.do("a", **options)(lambda: None)
            except InvalidStepConfig as error:
                return str(error)
            return "not refused"

    assert message in bench.run(Wrong).result(timeout=0)
