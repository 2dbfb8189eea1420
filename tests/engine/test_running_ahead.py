"""The last step of an instance and its end are one write, unless anything but the plain case comes up in between.

What `run` does after its last step happens between running ahead and that write, so that is where these tests step in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.client import Instance
from orchestrator.engine import pump
from orchestrator.engine.activation import advance
from orchestrator.engine.convoy import advance_together
from orchestrator.errors import DatabaseUnavailable, InstanceErrored, InstanceTerminated
from orchestrator.store.libpq import Session
from tests.engine.bench import Bench, Bodies, Own, steps_of

Moment = list[Callable[[Any], Any]]


class Writes:
    """Counts what a worker asks of its database."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.single = self.transactions = self.statements = 0
        statement, transaction, execute = bench.database.statement, bench.database.transaction, Session.execute

        def one(work: Any) -> Any:
            self.single += 1
            return statement(work)

        def several(work: Any) -> Any:
            self.transactions += 1
            return transaction(work)

        def counted(session: Any, *statement: Any, **options: Any) -> Any:
            self.statements += 1
            return execute(session, *statement, **options)

        monkeypatch.setattr(bench.database, "statement", one)
        monkeypatch.setattr(bench.database, "transaction", several)
        monkeypatch.setattr(Session, "execute", counted)


def advanced(bench: Bench, instance: Instance) -> None:
    (row,) = bench.rows("SELECT id FROM @instances WHERE instance_id = :id", id=instance.id)
    advance(bench.runtime, row.id)


@pytest.fixture
def moment() -> Moment:
    """What happens once in `run`, after its last step."""
    return []


@pytest.fixture
def one(bodies: Bodies, moment: Moment) -> type[WorkflowEntrypoint[Any]]:
    class One(WorkflowEntrypoint[Any]):
        async def run(self, event: Any, step: Any) -> Any:
            try:
                found = await step.do("one", bodies("one"), retries={"limit": 3, "delay": 0})
                if moment:
                    found = moment.pop()(event) or found
            finally:
                bodies.ran.append("put away")
            return found

    return One


@pytest.fixture
def known(bench: Bench, bodies: Bodies, one: type[WorkflowEntrypoint[Any]]) -> type[WorkflowEntrypoint[Any]]:
    """A workflow whose end is known here, from an instance before."""
    assert bench.run(one, id="before").result(timeout=0) == "one"
    bodies.ran.clear()
    return one


def test_the_last_step_and_the_end_are_one_write(
    bench: Bench, one: type[WorkflowEntrypoint[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    instances = [bench.create(one, id=f"number-{number}") for number in range(2)]
    writes = Writes(bench, monkeypatch)
    advanced(bench, instances[0])
    assert (writes.single, writes.transactions) == (3, 0), "a claim, a step and an end, where no end is known"
    writes.single = writes.statements = 0
    advanced(bench, instances[1])
    assert (writes.single, writes.transactions) == (2, 0), "a claim, and a step with the end"
    if not bench.database.is_sqlite:
        assert writes.statements == 2
    first, second = (instance.describe() for instance in instances)
    assert [(step.name, step.status, step.output) for step in second.steps] == [("one", "complete", "one")]
    assert (second.status, second.output) == (first.status, first.output) == ("complete", "one")


def test_it_ends_as_others_do(bench: Bench, known: type[WorkflowEntrypoint[Any]]) -> None:
    bench.run(known, id="ahead")
    before, ahead = bench.rows(
        "SELECT status, output, error, holder, ring_at, ended_at, modified_at, expires_at, version, rollback, fence "
        "FROM @instances ORDER BY id"
    )
    assert before == ahead
    bench.run(known, id="uncounted")
    bench.tidy()
    assert [row.finished for row in bench.client.aggregates()] == [{"complete": 3}]


def test_several_that_go_on_together_end_together(bench: Bench, known: type[WorkflowEntrypoint[Any]]) -> None:
    instances = [bench.create(known) for _ in range(5)]
    advance_together(bench.runtime, [row.id for row in bench.rows("SELECT id FROM @instances")])
    bench.work()
    assert [instance.result(timeout=0) for instance in instances] == ["one"] * 5


def test_one_that_asks_for_more_than_the_one_before_goes_on(bench: Bench, bodies: Bodies, caplog: Any) -> None:
    class Some(WorkflowEntrypoint[Any]):
        async def run(self, event: Any, step: Any) -> int:
            for number in range(event.payload):
                await step.do("some", bodies(f"some {number}"))
            return int(event.payload)

    for count in (1, 3, 2, 2):
        bodies.ran.clear()
        assert bench.run(Some, count).result(timeout=0) == count
        assert bodies.ran == [f"some {number}" for number in range(count)]
    assert "could not be advanced" not in caplog.text


def test_under_a_fence_that_has_moved_nothing_is_written(
    bench: Bench, bodies: Bodies, known: type[WorkflowEntrypoint[Any]], moment: Moment, own: Own
) -> None:
    moment.append(lambda event: own(event).terminate() and None)
    instance = bench.run(known, id="terminated")
    with pytest.raises(InstanceTerminated):
        instance.result(timeout=0)
    assert instance.describe().steps == []
    assert bodies.ran == ["one", "put away"]


def test_whoever_has_taken_over_decides(
    bench: Bench, bodies: Bodies, known: type[WorkflowEntrypoint[Any]], moment: Moment
) -> None:
    def take_over(event: Any) -> str:
        pump.bury(bench.database, known=[bench.runtime.worker_id])
        bench.work(bench.worker(registry=bench.registry))
        return "a result of the one that was taken over"

    moment.append(take_over)
    instance = bench.run(known, id="taken-over")
    bench.settle()
    assert instance.result(timeout=0) == "one"
    assert bodies.count("one") == 2, "the body of a worker that died costs an attempt"
    assert steps_of(instance)["one-1"].attempts == 2


def test_a_pause_in_that_moment_comes_after_the_step_and_before_the_end(
    bench: Bench, bodies: Bodies, known: type[WorkflowEntrypoint[Any]], moment: Moment, own: Own, caplog: Any
) -> None:
    moment.append(lambda event: own(event).pause() and None)
    instance = bench.run(known, id="paused")
    assert "could not be advanced" not in caplog.text
    assert instance.status().status == "paused"
    assert steps_of(instance)["one-1"].output == "one"
    instance.resume()
    bench.work()
    assert instance.result(timeout=0) == "one"
    assert bodies.count("one") == 1


def test_a_rollback_asked_for_in_that_moment_is_carried_out(bench: Bench, bodies: Bodies, own: Own) -> None:
    class Undone(WorkflowEntrypoint[Any]):
        async def run(self, event: Any, step: Any) -> Any:
            found = await step.do("one", bodies("one"), rollback=lambda *_: bodies("undo")())
            if event.payload:
                own(event).terminate(rollback=True)
            return found

    assert bench.run(Undone).result(timeout=0) == "one"
    instance = bench.run(Undone, "undo", id="undone")
    assert instance.status().status == "terminated"
    assert bodies.ran == ["one", "one", "undo"]


def test_what_others_have_written_first_comes_first(bench: Bench, bodies: Bodies, own: Own) -> None:
    class Race(WorkflowEntrypoint[Any]):
        async def run(self, event: Any, step: Any) -> list[str]:
            order = []

            async def note(what: Any) -> None:
                order.append(await what)

            def body() -> str:
                own(event).send_event("news", "event")
                return "step"

            async def waiting() -> str:
                return str((await step.wait_for_event("wait", "news")).payload)

            await asyncio.gather(note(waiting()), note(step.do("send", body)))
            return order

    for id in ("first", "second"):
        assert bench.run(Race, id=id).result(timeout=0) == ["event", "step"]


class Crash(BaseException):
    """The end of a process."""


@pytest.mark.parametrize("stored", [False, True])
def test_a_crash_around_the_write_costs_at_most_one_attempt(
    bench: Bench, bodies: Bodies, known: type[WorkflowEntrypoint[Any]], moment: Moment, monkeypatch: Any, stored: bool
) -> None:
    statement = bench.database.statement

    def crash(work: Any) -> None:
        bench.database.statement = statement  # type: ignore[method-assign]
        if stored:
            statement(work)
        raise Crash

    moment.append(lambda _: monkeypatch.setattr(bench.database, "statement", crash))
    instance = bench.create(known, id="crashed")
    with pytest.raises(Crash):
        advanced(bench, instance)
    pump.bury(bench.database, known=[bench.runtime.worker_id])
    bench.restart_process()
    bench.settle()
    assert instance.result(timeout=0) == "one"
    assert bodies.count("one") == (1 if stored else 2)


@pytest.mark.parametrize("stored", [False, True])
def test_a_write_without_an_answer_is_looked_up(
    bench: Bench, bodies: Bodies, known: type[WorkflowEntrypoint[Any]], moment: Moment, monkeypatch: Any, stored: bool
) -> None:
    bench.runtime.crowd.threads = 0  # so that it writes by the method that breaks
    statement = bench.database.statement

    def fail(work: Any) -> None:
        bench.database.statement = statement  # type: ignore[method-assign]
        if stored:
            statement(work)
        raise DatabaseUnavailable("gone")

    moment.append(lambda _: monkeypatch.setattr(bench.database, "statement", fail))
    instance = bench.run(known, id="unanswered")
    assert bench.runtime.hot.take(1, 1) is None
    bench.settle()
    assert instance.result(timeout=0) == "one"
    assert bodies.count("one") == (1 if stored else 2)


def test_a_function_that_fails_after_its_last_step_keeps_it(
    bench: Bench, known: type[WorkflowEntrypoint[Any]], moment: Moment
) -> None:
    def fail(_: Any) -> None:
        raise ValueError("after all")

    moment.append(fail)
    instance = bench.run(known, id="failed")
    with pytest.raises(InstanceErrored, match="after all"):
        instance.result(timeout=0)
    assert steps_of(instance)["one-1"].output == "one"


@pytest.mark.parametrize(
    ("output", "problem"), [("x" * 2000, "1,000|too large|limit"), (object(), "serialisable")], ids=["large", "no JSON"]
)
def test_an_output_that_can_not_be_stored_is_an_error_and_its_step_is_kept(
    make_bench: Callable[..., Bench], bodies: Bodies, output: Any, problem: str
) -> None:
    bench = make_bench(max_payload_bytes=1000)

    class One(WorkflowEntrypoint[Any]):
        async def run(self, event: Any, step: Any) -> Any:
            found = await step.do("one", bodies("one"))
            return output if event.payload else found

    bench.run(One)
    instance = bench.run(One, "bad", id="bad")
    with pytest.raises(InstanceErrored, match=problem):
        instance.result(timeout=0)
    assert steps_of(instance)["one-1"].output == "one"
    assert bodies.ran == ["one", "one"]


@pytest.mark.parametrize("colour", ["def", "async def"])
def test_a_step_that_fails_first_is_tried_again(bench: Bench, colour: str) -> None:
    tried: list[int] = []

    def body(ctx: Any, often: int) -> int:
        tried.append(ctx.attempt)
        if ctx.attempt <= often:
            raise ValueError("not yet")
        return int(ctx.attempt)

    async def later(ctx: Any, often: int) -> int:
        return body(ctx, often)

    class Retried(WorkflowEntrypoint[Any]):
        async def run(self, event: Any, step: Any) -> Any:
            fn = body if colour == "def" else later
            return await step.do("try", fn, often=event.payload, retries={"limit": 3, "delay": 0})

    assert bench.run(Retried, 0).result(timeout=0) == 1
    instance = bench.run(Retried, 2, id="retried")
    bench.settle()
    assert instance.result(timeout=0) == 3
    assert tried == [1, 1, 2, 3]
    assert steps_of(instance)["try-1"].attempts == 3


def test_each_end_is_published_with_what_it_belongs_to(make_bench: Callable[..., Bench], bodies: Bodies) -> None:
    bench = make_bench(events_url="memory://", events_queue="news")

    class One(WorkflowEntrypoint[Any]):
        async def run(self, event: Any, step: Any) -> Any:
            return await step.do("one", bodies("one"))

    for _ in range(2):
        bench.run(One)
    assert [row.type for row in bench.rows("SELECT type FROM @outbox ORDER BY id")].count("completed") == 2
