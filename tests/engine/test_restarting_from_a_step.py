"""A restart from a step keeps what the run had asked for before it, and does that step and all after it again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orchestrator import StepContext, WorkflowEntrypoint
from orchestrator.errors import CannotRestart, RunNotFound, UsageError
from tests.engine.bench import Bench, Bodies, Failing, Own, steps_of


class Numbers:
    """A body that gives another number each time it runs."""

    def __init__(self) -> None:
        self.given: dict[str, int] = {}

    def __call__(self, name: str) -> int:
        self.given[name] = self.given.get(name, 0) + 1
        return self.given[name]


def chain(numbers: Numbers, colour: str = "async def") -> type[WorkflowEntrypoint[Any]]:
    class Chain(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            return [await step.do(name, numbers, name) for name in "abc"]

    class BlockingChain(WorkflowEntrypoint):
        name = "chain"

        def run(self, event: Any, step: Any) -> Any:
            return [step.do(name, numbers, name) for name in "abc"]

    return Chain if colour == "async def" else BlockingChain


@pytest.mark.parametrize("colour", ["def", "async def"])
@pytest.mark.cloudflare(38)
def test_the_steps_before_keep_their_results_and_those_after_run_again(bench: Bench, colour: str) -> None:
    instance = bench.run(chain(Numbers(), colour))
    assert instance.restart(from_={"name": "b"}).status == "queued"
    bench.work()
    assert instance.result(timeout=0) == [1, 2, 2]
    assert instance.describe().run == 2
    instance.restart(from_={"name": "c", "count": 1, "type": "do"})
    bench.work()
    assert instance.result(timeout=0) == [1, 2, 3]
    instance.restart()
    bench.work()
    assert instance.result(timeout=0) == [2, 3, 4]


@pytest.mark.parametrize("status", ["waiting", "paused", "complete", "errored", "terminated"])
def test_it_is_allowed_in_every_status(bench: Bench, status: str) -> None:
    numbers = Numbers()

    class Story(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            first, second = await step.do("a", numbers, "a"), await step.do("b", numbers, "b")
            if (await step.wait_for_event("what next", "order")).payload == "fail":
                raise ValueError("as told")
            return [first, second]

    instance = bench.run(Story)
    if status in ("complete", "errored"):
        instance.send_event("order", "fail" if status == "errored" else "finish")
        bench.work()
    if status in ("paused", "terminated"):
        getattr(instance, {"paused": "pause", "terminated": "terminate"}[status])()
    assert instance.status().status == status
    instance.restart(from_={"name": "b"})
    bench.work()
    assert instance.status().status == "waiting"
    instance.send_event("order", "finish")
    bench.work()
    assert instance.result(timeout=0) == [1, 2]


@pytest.mark.cloudflare(39)
def test_without_a_type_the_step_is_a_do_even_where_a_sleep_of_that_name_came_first(bench: Bench) -> None:
    numbers = Numbers()

    class Checkpoints(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            before = await step.do("before", numbers, "before")
            await step.sleep("checkpoint", "1 minute")
            between = await step.do("between", numbers, "between")
            return [before, between, await step.do("checkpoint", numbers, "checkpoint")]

    instance = bench.run(Checkpoints)
    bench.after("1 minute")
    instance.restart(from_={"name": "checkpoint"})
    bench.work()
    assert instance.result(timeout=0) == [1, 1, 2]
    instance.restart(from_={"name": "checkpoint", "type": "sleep"})
    bench.work()
    assert instance.status().status == "waiting"
    bench.after("1 minute")
    assert instance.result(timeout=0) == [1, 2, 3]


def test_the_count_tells_steps_of_one_name_apart(bench: Bench) -> None:
    numbers = Numbers()

    class Loop(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            return [await step.do("page", numbers, f"page {page}") for page in range(3)]

    instance = bench.run(Loop)
    instance.restart(from_={"name": "page", "count": 3})
    bench.work()
    assert instance.result(timeout=0) == [1, 1, 2]


@pytest.mark.cloudflare(40)
def test_a_step_that_the_run_has_not_come_to_is_refused_before_anything_is_touched(bench: Bench) -> None:
    instance = bench.run(chain(Numbers()))
    before = instance.describe()
    with pytest.raises(CannotRestart, match='Step "z" not found in execution history: run 1 has no z-1 of') as refused:
        instance.restart(from_={"name": "z"})
    assert refused.value.code == "instance.cannot_restart"
    assert "It has a-1, b-1, c-1" in str(refused.value)
    with pytest.raises(CannotRestart, match="It has none of that type"):
        instance.restart(from_={"name": "a", "type": "waitForEvent"})
    assert instance.describe() == before


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("b", "must be a mapping"),
        ({"count": 1}, "needs the name of a step"),
        ({"name": ""}, "must be the name of a step"),
        ({"name": "b", "count": 0}, "at least 1, not 0"),
        ({"name": "b", "count": True}, "at least 1, not True"),
        ({"name": "b", "type": "rollback"}, "must be do, sleep or waitForEvent, not 'rollback'"),
        ({"name": "b", "run": 1}, r"unknown keys \(run\)"),
    ],
    ids=str,
)
def test_what_says_no_step_is_refused(bench: Bench, given: Any, reason: str) -> None:
    instance = bench.run(chain(Numbers()))
    with pytest.raises(UsageError, match=reason):
        instance.restart(from_=given)
    assert instance.describe().run == 1


def test_a_wait_is_begun_anew_and_events_that_nobody_took_are_forgotten(bench: Bench, bodies: Bodies) -> None:
    class Waiting(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            await step.do("begin", bodies("begin"))
            first = await step.wait_for_event("approval", "answer")
            return [first.payload, (await step.wait_for_event("second", "answer", timeout="1 hour")).payload]

    instance = bench.run(Waiting)
    instance.send_event("answer", "yes")
    bench.work()
    bench.clock.advance("30 minutes")
    instance.send_event("other", "nobody waits for it")
    instance.restart(from_={"name": "approval", "type": "waitForEvent"})
    bench.work()
    assert bench.rows("SELECT 1 FROM @events WHERE consumed_by IS NULL") == []
    for answer in ("no", "never"):
        instance.send_event("answer", answer)
        bench.work()
    assert instance.result(timeout=0) == ["no", "never"]
    assert bodies.count("begin") == 1


def test_an_unfinished_wait_that_is_kept_has_its_whole_timeout_again(bench: Bench) -> None:
    numbers = Numbers()

    class Both(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            await asyncio.gather(step.sleep("nap", "1 hour"), step.do("work", numbers, "work"))
            return await step.do("end", numbers, "end")

    instance = bench.run(Both)
    bench.clock.advance("50 minutes")
    instance.restart(from_={"name": "work"})
    bench.work()
    bench.after("59 minutes")
    assert (instance.status().status, numbers.given) == ("waiting", {"work": 2})
    bench.after("1 minute")
    assert instance.result(timeout=0) == 1


def test_parallel_steps_are_kept_by_the_order_of_their_calls_and_not_of_their_ends(bench: Bench) -> None:
    numbers = Numbers()

    class Fan(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            async def pair(name: str) -> list[Any]:
                if name == "slow":
                    await step.sleep("wait", "1 minute")
                return [await step.do(f"{name} one", numbers, name), await step.do(f"{name} two", numbers, name)]

            return await asyncio.gather(pair("slow"), pair("quick"))

    instance = bench.run(Fan)
    bench.after("1 minute")
    assert instance.result(timeout=0) == [[1, 2], [1, 2]]
    instance.restart(from_={"name": "slow one"})
    bench.work()
    assert instance.result(timeout=0) == [[3, 4], [1, 2]]
    instance.restart(from_={"name": "quick two"})
    bench.work()
    assert instance.result(timeout=0) == [[5, 6], [1, 3]]


def test_an_error_that_was_caught_before_the_step_stays_what_it_was(bench: Bench) -> None:
    body, numbers = Failing(times=1), Numbers()

    class Careful(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            try:
                await step.do("risky", {"retries": {"limit": 0, "delay": 0}}, body)
            except ValueError as error:
                return [str(error), await step.do("mend", numbers, "mend")]

    instance = bench.run(Careful)
    instance.restart(from_={"name": "mend"})
    bench.work()
    assert instance.result(timeout=0) == ["no", 2]
    assert body.attempts == 1
    assert steps_of(instance)["risky-1"].attempts == 1


def test_a_kept_step_between_two_attempts_goes_on_counting_and_keeps_its_idempotency_key(bench: Bench) -> None:
    seen: dict[str, list[tuple[int, str]]] = {"charge": [], "mail": []}

    class Two(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            def body(ctx: StepContext) -> str:
                seen[ctx.step.name].append((ctx.attempt, ctx.idempotency_key))
                if ctx.step.name == "charge" and ctx.attempt < 3:
                    raise ConnectionError("no answer")
                return ctx.step.name

            policy = {"retries": {"limit": 2, "delay": "1 minute", "backoff": "constant"}}
            return await asyncio.gather(step.do("charge", policy, body), step.do("mail", body))

    instance = bench.run(Two)
    bench.clock.advance("10 seconds")
    instance.restart(from_={"name": "mail"})
    bench.work()
    assert [attempt for attempt, _ in seen["charge"]] == [1]
    bench.after("50 seconds")
    instance.restart(from_={"name": "mail"})
    bench.restart_process()
    bench.work()
    bench.after("1 minute")
    assert instance.result(timeout=0) == ["charge", "mail"]
    assert [attempt for attempt, _ in seen["charge"]] == [1, 2, 3]
    assert len({key for _, key in seen["charge"]}) == 1
    assert [attempt for attempt, _ in seen["mail"]] == [1, 1, 1]
    assert len({key for _, key in seen["mail"]}) == 3


def test_what_the_workflow_drew_and_the_time_it_saw_stay_the_same(bench: Bench) -> None:
    class Drawing(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            began = step.now()
            drawn = [step.random(), str(step.uuid())]
            await step.do(f"step {drawn[1]}", lambda: None)
            await step.do("last", lambda: None)
            return [*drawn, began.isoformat()]

    instance = bench.run(Drawing)
    first = instance.result(timeout=0)
    for _ in range(2):
        bench.clock.advance("1 day")
        instance.restart(from_={"name": "last"})
        bench.restart_process()
        bench.work()
        assert instance.result(timeout=0) == first
        assert instance.describe().started_at == bench.clock.now_ms()
    instance.restart()
    bench.work()
    assert instance.result(timeout=0) != first


def test_a_step_may_restart_its_own_instance_from_a_step(bench: Bench, own: Own) -> None:
    numbers = Numbers()

    class Again(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            def last() -> int:
                if numbers("last") < 3:
                    own(event).restart(from_={"name": "middle"})
                return numbers.given["last"]

            return [await step.do("first", numbers, "first"), await step.do("middle", numbers, "middle"),
                    await step.do("last", last)]  # fmt: skip

    instance = bench.create(Again)
    with pytest.raises(CannotRestart):
        instance.restart(from_={"name": "middle"})
    bench.work()
    assert instance.result(timeout=0) == [1, 3, 3]


def test_every_run_stays_readable(bench: Bench) -> None:
    body = Failing(times=1)

    class Story(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            await step.do("a", lambda: "a")
            return await step.do("b", body, retries={"limit": 1, "delay": "1 hour"})

    instance = bench.run(Story)
    started_at = bench.clock.now_ms()
    bench.clock.advance("1 minute")
    instance.restart(from_={"name": "b"})
    bench.work()
    assert instance.result(timeout=0) == "done"
    first, second = instance.runs()
    assert (first.run, first.status, first.output, first.restarted_from) == (1, "waiting", None, None)
    assert (first.started_at, first.ended_at) == (started_at, bench.clock.now_ms())
    assert (second.run, second.status, second.output) == (2, "complete", "done")
    assert second.restarted_from == {"name": "b", "count": 1, "type": "do"}
    assert second.to_dict()["run"] == 2
    old = instance.describe(run=1)
    assert (old.run, old.status, old.allowed_actions, old.waiting_for) == (1, "waiting", [], None)
    assert [(step.label, step.status, step.output) for step in old.steps] == [
        ("a-1", "complete", "a"), ("b-1", "errored", None),
    ]  # fmt: skip
    assert old.steps[1].attempt_log[0].error == {"name": "ValueError", "message": "no"}
    assert instance.describe(run=2) == instance.describe()
    for run in (0, 3):
        with pytest.raises(RunNotFound, match=f"has no run {run}; its runs are 1 to 2"):
            instance.describe(run=run)


def test_an_instance_that_was_never_restarted_has_one_run(bench: Bench) -> None:
    instance = bench.run(chain(Numbers()))
    (only,) = instance.runs()
    assert (only.run, only.status, only.output, only.error) == (1, "complete", [1, 1, 1], None)


def test_steps_for_other_workers_are_found_after_a_restart_from_a_step(bench: Bench) -> None:
    numbers = Numbers()

    class Render(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            first = await step.do("first", numbers, "first")
            return [first, await step.do("render", numbers, "render", queue="gpu")]

    instance = bench.run(Render)
    gpu = bench.worker(registry=bench.registry, queues=("gpu",))
    bench.work(gpu)
    bench.work()
    assert instance.result(timeout=0) == [1, 1]
    instance.restart(from_={"name": "render"})
    bench.work()
    bench.work(bench.worker(registry=bench.registry, queues=("gpu",)))
    bench.work()
    assert instance.result(timeout=0) == [1, 2]


def test_an_instance_that_was_undone_can_be_restarted_from_a_step(bench: Bench) -> None:
    numbers, undone, fail = Numbers(), list[Any](), [True]

    class Saga(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            def undo(output: Any) -> None:
                undone.append(output)

            first = await step.do("book", numbers, "book", rollback=undo)
            second = await step.do("charge", numbers, "charge", rollback=undo)
            if fail[0]:
                raise ValueError("declined")
            return [first, second]

    instance = bench.run(Saga)
    assert (instance.status().status, undone) == ("errored", [1, 1])
    fail[0] = False
    instance.restart(from_={"name": "charge"})
    bench.restart_process()
    bench.work()
    assert instance.result(timeout=0) == [1, 2]
    assert instance.status().rollback is None
    assert [step.label for step in instance.describe().steps] == ["book-1", "charge-1"]
