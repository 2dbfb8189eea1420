"""What runs while processes die: small workflows with known ends, and what is done to them from outside on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from orchestrator import BlockingWorkflowStep, ByteStream, StepContext, WorkflowEntrypoint, WorkflowEvent, WorkflowStep
from orchestrator.client import Client
from orchestrator.statuses import InstanceStatus
from tests.crash.world import World

UNDONE = {"outcome": "complete", "error": None}
HOUR_MS = 3_600_000
QUICK = {"limit": 5, "delay": "2 seconds", "backoff": "constant"}

current: World
"""The world of the scenario that runs now: bodies are plain functions and have no other way to it."""


def enter(world: World) -> None:
    global current
    current = world


async def add(a: int, b: int) -> int:
    return a + b


def multiply(a: int, b: int) -> int:
    return a * b


class Sequential(WorkflowEntrypoint[Any]):
    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> int:
        total = await step.do("add", add, 1, 2)
        total = await step.do("multiply", multiply, total, 10)
        return await step.do("add", add, total, 4)


class SequentialDef(WorkflowEntrypoint[Any]):
    def run(self, event: WorkflowEvent[Any], step: BlockingWorkflowStep) -> int:
        total = step.do("multiply", multiply, 3, 10)
        total = step.do("add", add, total, 3)
        return step.do("multiply", multiply, total, 1) + 1


class Parallel(WorkflowEntrypoint[Any]):
    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> int:
        parts = await asyncio.gather(*(step.do(f"part {n}", add, n, 10) for n in range(4)))
        return await step.do("sum", sum, parts)


class ParallelDef(WorkflowEntrypoint[Any]):
    def run(self, event: WorkflowEvent[Any], step: BlockingWorkflowStep) -> int:
        parts = step.gather(*(lambda n=n: step.do(f"part {n}", multiply, n, 10) for n in range(4)))
        return step.do("sum", sum, parts)


class Retrying(WorkflowEntrypoint[Any]):
    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> list[str]:
        @step.do("flaky", retries=QUICK)
        def flaky(ctx: StepContext) -> str:
            if ctx.attempt < 3:
                raise ConnectionError("not yet")
            return "came through"

        @step.do("hopeless", retries={"limit": 1, "delay": "2 seconds"})
        async def hopeless() -> str:
            raise ValueError("never")

        first = await flaky()
        try:
            second = await hopeless()
        except Exception as error:
            # A process that died in its last attempt is an end of it, too.
            second = "gave up" if type(error).__name__ in ("ValueError", "WorkerLostError") else repr(error)
        return [first, second]


class Sleeping(WorkflowEntrypoint[Any]):
    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> list[Any]:
        before = await step.do("before", add, 1, 1)
        fell_asleep = step.now()
        await step.sleep("an hour", "1 hour")
        slept = (step.now() - fell_asleep).total_seconds() >= HOUR_MS / 1000
        return [before, slept, await step.do("after", add, 2, 2)]


class Waiting(WorkflowEntrypoint[Any]):
    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> list[Any]:
        before = await step.do("before", add, 1, 1)
        approval = await step.wait_for_event("approval", "approved", timeout="1 day")
        return [before, approval.payload, await step.do("after", add, 2, 2)]


class Impatient(WorkflowEntrypoint[Any]):
    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> list[Any]:
        try:
            await step.wait_for_event("approval", "approved", timeout="1 hour")
        except TimeoutError:
            raise
        except Exception as error:
            gave_up = type(error).__name__
        try:
            async with asyncio.timeout(60):
                await step.wait_for_event("another", "approved", timeout="1 hour")
        except TimeoutError:
            return [gave_up, await step.do("after", add, 2, 2)]
        return ["was not impatient"]


class Interrupted(WorkflowEntrypoint[Any]):
    """Something is done to it from outside while its second step runs."""

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> int:
        total = await step.do("add", add, 1, 2)

        @step.do("interrupted", retries=QUICK)
        def interrupted() -> int:
            if current.once("interruption"):
                getattr(current.client.workflow(Interrupted).get(current.instance.id), event.payload["action"])()
            return total * 10

        return await step.do("add", add, await interrupted(), 4)


class InterruptedFrom(WorkflowEntrypoint[Any]):
    """It is restarted from a step while a later one runs."""

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> int:
        total = await step.do("add", add, 1, 2)
        total = await step.do("again", multiply, total, 10)

        @step.do("interrupted", retries=QUICK)
        def interrupted() -> int:
            if current.once("interruption"):
                instance = current.client.workflow(InterruptedFrom).get(current.instance.id)
                instance.restart(from_={"name": "again"})
            return total

        return await step.do("add", add, await interrupted(), 4)


class Asking(WorkflowEntrypoint[Any]):
    """A function says when the next attempt is due."""

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> str:
        async def later(ctx: StepContext, error: Exception) -> str:
            return "2 seconds"

        @step.do("flaky", retries={"limit": 5, "delay": later, "backoff": "constant"})
        def flaky(ctx: StepContext) -> str:
            if ctx.attempt < 2:
                raise ConnectionError("not yet")
            return "came through"

        return await flaky()


class Streaming(WorkflowEntrypoint[Any]):
    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> list[int]:
        async def download() -> AsyncIterator[bytes]:
            for number in range(4):
                yield bytes([number]) * 100_000

        def copy(given: ByteStream) -> Iterator[bytes]:
            yield from given

        first = cast(ByteStream, await step.do("download", {"retries": QUICK}, download))
        second = cast(ByteStream, await step.do("copy", {"retries": QUICK}, copy, first))
        return [first.size, sum(await second.aread())]


class Long(WorkflowEntrypoint[Any]):
    """Its bodies take so long that their claim is given back meanwhile."""

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> int:
        def slow(n: int) -> int:
            _detach()
            return n

        async def slow_async(n: int) -> int:
            await asyncio.to_thread(_detach)
            return n

        total = await step.do("slow", {"retries": QUICK}, slow, 1)
        both = await asyncio.gather(*(step.do(f"slow {n}", {"retries": QUICK}, slow_async, n) for n in (2, 3)))
        return total + sum(both)


class OtherFleet(WorkflowEntrypoint[Any]):
    """Some of its steps are for a process that serves another queue."""

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> int:
        there = {"queue": "other", "retries": QUICK}
        parts = await asyncio.gather(
            step.do("here", multiply, 2, 3),
            step.do("there", there, multiply, 3, 10),
            step.do("there too", there, add, 1, 2),
        )
        return await step.do("sum", sum, parts)


class Undone(WorkflowEntrypoint[Any]):
    """It fails after two steps that can be undone, each in its own way."""

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> int:
        def undo(ctx: Any, output: Any) -> None:
            return None

        async def undo_later(ctx: Any, output: Any) -> None:
            return None

        patient: Any = {"retries": QUICK}
        await step.do("reserve", patient, multiply, 2, 3, rollback=undo, rollback_config=patient)
        await step.do("charge", patient, add, 1, 2, rollback=undo_later, rollback_config=patient)
        if event.payload["waits"]:
            await step.sleep("a day", "1 day")
        raise ValueError("sold out")


class SoldOut(Exception):
    """What sagas end with."""


def undoing(step_name: str, expected: Any, *, flaky: bool = False) -> Callable[..., None]:
    """A handler that knows what the step has returned, if it has come to its end."""

    def undo(output: Any) -> None:
        if output not in (None, expected):
            current.broken.append(f"the handler of {step_name} was given {output!r} and not {expected!r}")
        if flaky and current.once(f"undo {step_name}"):
            raise ConnectionError("not yet")

    return undo


class Saga(WorkflowEntrypoint[Any]):
    """Steps of each kind, an error, and a handler for each step that it takes two attempts to undo one of."""

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> None:
        async def undo_charge(output: Any) -> None:
            undoing("charge", 6)(output)

        again: Any = {"rollback_config": {"retries": QUICK}}
        await step.do("reserve", {"retries": QUICK}, add, 1, 2, rollback=undoing("reserve", 3), **again)
        await asyncio.gather(
            step.do("charge", {"retries": QUICK}, multiply, 2, 3, rollback=undo_charge, **again),
            step.do("ship", {"retries": QUICK}, multiply, 3, 3, rollback=undoing("ship", 9, flaky=True), **again),
        )
        raise SoldOut


class SagaDef(WorkflowEntrypoint[Any]):
    """Terminated with rollback from outside, while its second step runs."""

    def run(self, event: WorkflowEvent[Any], step: BlockingWorkflowStep) -> int:
        def interrupted() -> int:
            if current.once("interruption"):
                current.client.workflow(SagaDef).get(current.instance.id).terminate(rollback=True)
            return 2

        again: Any = {"rollback_config": {"retries": QUICK}}
        step.do("first", {"retries": QUICK}, add, 0, 1, rollback=undoing("first", 1, flaky=True), **again)
        step.do("interrupted", {"retries": QUICK}, interrupted, rollback=undoing("interrupted", 2), **again)
        return step.do("last", {"retries": QUICK}, add, 1, 2, rollback=undoing("last", 3), **again)


class LongSaga(WorkflowEntrypoint[Any]):
    """It fails while a step runs, which is waited for, and a handler takes so long that its claim is given back."""

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> None:
        failed = asyncio.Event()

        async def slow() -> int:
            await asyncio.to_thread(_detach)
            return 2

        def undo_fast(output: Any) -> None:
            undoing("fast", 3)(output)
            _detach()

        async def fail() -> None:
            await step.do("fast", {"retries": QUICK}, add, 1, 2, rollback=undo_fast, rollback_config=again)
            raise SoldOut

        again: Any = {"retries": QUICK}
        undo = undoing("slow", 2)
        await asyncio.gather(
            step.do("slow", {"retries": QUICK}, slow, rollback=undo, rollback_config=again), fail(), failed.wait()
        )


def _detach() -> None:
    """As the supervisor does when a moment has passed."""
    for process in current.processes:
        if process.life.dead:
            continue
        for order in list(process.runtime.running.values()):
            order.started -= process.runtime.settings.moment_ms / 1000
        process.look_after_bodies()


@dataclass(frozen=True)
class Scenario:
    name: str
    workflow: type[WorkflowEntrypoint[Any]]
    output: Any
    status: InstanceStatus = InstanceStatus.COMPLETE
    params: Any = None
    act: Callable[[World], bool] = lambda world: False
    """Asked whenever nothing is left to do at this moment; True if it did something."""
    first: Callable[[World], None] = lambda world: None
    """Done right after the creation."""
    queues: tuple[tuple[str, ...], ...] = (("default",),)
    settings: dict[str, Any] = field(default_factory=dict)
    rollback: Any = None
    """What is said of its rollback in the end."""
    crowded: bool = False
    """Others wait for the workers, so that an instance has to go back when its budget is spent."""


def send(client: Client) -> None:
    client.workflow(Waiting).get(current.instance.id).send_event("approved", {"by": "ann"})


def _send_when_waiting(world: World) -> bool:
    if world.instance.status().status != InstanceStatus.WAITING or not world.once("sent"):
        return False
    world.act(send)
    return True


def _resume_when_paused(world: World) -> bool:
    if world.instance.status().status != InstanceStatus.PAUSED:
        return False
    world.act(lambda client: client.workflow(Interrupted).get(world.instance.id).resume())
    return True


def _undo_when_waiting(world: World) -> bool:
    if world.instance.status().status != InstanceStatus.WAITING or not world.once("terminated"):
        return False
    world.act(lambda client: client.workflow(Undone).get(world.instance.id).terminate(rollback=True))
    return True


def _send_first(world: World) -> None:
    world.once("sent")
    world.act(send)


SCENARIOS = [
    Scenario("sequential", Sequential, 34),
    Scenario("sequential def", SequentialDef, 34),
    Scenario("parallel", Parallel, 46),
    Scenario("parallel def", ParallelDef, 60),
    Scenario("retrying", Retrying, ["came through", "gave up"]),
    Scenario("sleeping", Sleeping, [2, True, 4]),
    Scenario("event sent while it waits", Waiting, [2, {"by": "ann"}, 4], act=_send_when_waiting),
    Scenario("event sent before", Waiting, [2, {"by": "ann"}, 4], first=_send_first),
    Scenario("timing out", Impatient, ["EventTimeoutError", 4]),
    Scenario("over the budget", Sequential, 34, settings={"budget_ms": 0}, crowded=True),
    Scenario("over the budget def", SequentialDef, 34, settings={"budget_ms": 0}, crowded=True),
    Scenario("paused and resumed", Interrupted, 34, params={"action": "pause"}, act=_resume_when_paused),
    Scenario("restarted", Interrupted, 34, params={"action": "restart"}),
    Scenario("restarted from a step", InterruptedFrom, 34),
    Scenario("asking for the delay", Asking, "came through"),
    Scenario("streaming", Streaming, [400_000, 600_000]),
    Scenario("terminated", Interrupted, None, InstanceStatus.TERMINATED, params={"action": "terminate"}),
    Scenario("rolled back", Undone, None, InstanceStatus.ERRORED, {"waits": False}, rollback=UNDONE),
    Scenario(
        "terminated and rolled back",
        Undone,
        None,
        InstanceStatus.TERMINATED,
        {"waits": True},
        _undo_when_waiting,
        rollback=UNDONE,
    ),
    Scenario("long bodies", Long, 6),
    Scenario("rolled back after parallel steps", Saga, None, InstanceStatus.ERRORED, rollback=UNDONE),
    Scenario("terminated with rollback by its own step", SagaDef, None, InstanceStatus.TERMINATED, rollback=UNDONE),
    Scenario("rolled back while a step runs", LongSaga, None, InstanceStatus.ERRORED, rollback=UNDONE),
    Scenario("another fleet", OtherFleet, 39, queues=(("default",), ("other",))),
]
