"""One holder at a time: whoever lost an instance writes nothing more, and whoever comes goes on rightly."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.engine import pump
from orchestrator.engine.activation import advance
from orchestrator.store import instances
from tests.engine.bench import Bench, Bodies, steps_of


def key_of(bench: Bench) -> int:
    (row,) = bench.rows("SELECT id FROM @instances")
    return int(row.id)


def take_over(bench: Bench) -> None:
    """What happens to a holder that everybody takes for dead: its claim is freed and somebody else goes on."""
    row = bench.rows("SELECT id, holder FROM @instances")[0]
    pump.bury(bench.database, known=[row.holder])
    bench.work(bench.worker(registry=bench.registry))


def test_two_coordinators_at_once_run_each_step_once(bench: Bench, bodies: Bodies) -> None:
    together = threading.Barrier(2)

    class Ten(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> int:
            for number in range(10):
                await step.do(f"step {number}", bodies(f"step {number}"))
            return number

    instance = bench.create(Ten)
    pk = key_of(bench)
    workers = [bench.runtime, bench.worker(registry=bench.registry)]

    def work(worker: Any) -> None:
        together.wait()
        for _ in range(5):
            advance(worker, pk)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert instance.result(timeout=0) == 9
    assert bodies.ran == [f"step {number}" for number in range(10)]


def test_a_second_call_while_somebody_holds_it_returns_at_once_and_changes_nothing(
    bench: Bench, bodies: Bodies
) -> None:
    class One(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            def body() -> str:
                before = bench.rows("SELECT fence, holder FROM @instances")
                advance(bench.worker(registry=bench.registry), key_of(bench))
                advance(bench.runtime, key_of(bench))
                assert bench.rows("SELECT fence, holder FROM @instances") == before
                return bodies("one")()

            return await step.do("one", body)

    assert bench.run(One).result(timeout=0) == "one"
    assert bodies.ran == ["one"]


@pytest.mark.parametrize("colour", ["def", "async def"])
def test_a_holder_that_was_taken_over_stops_and_writes_nothing(bench: Bench, bodies: Bodies, colour: str) -> None:
    class Two(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            def first() -> int:
                bodies.ran.append("first")
                attempt = bodies.count("first")
                if attempt == 1:
                    take_over(bench)
                    bench.clock.advance("10 seconds")
                    bench.work(bench.worker(registry=bench.registry))
                return attempt

            async def first_later() -> int:
                return first()

            one = await step.do("first", first if colour == "def" else first_later)
            await step.do("second", bodies("second"))
            return one

    instance = bench.run(Two)
    assert instance.result(timeout=0) == 2, "the late result of the one that was taken over is dropped"
    assert bodies.ran == ["first", "first", "second"]
    assert [attempt.status for attempt in steps_of(instance)["first-1"].attempt_log] == ["errored", "complete"]


def test_a_workflow_that_nobody_here_knows_is_left_to_those_who_do(
    bench: Bench, bodies: Bodies, caplog: pytest.LogCaptureFixture
) -> None:
    class Known(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            await step.do("one", bodies("one"))
            await step.sleep("rest", "1 hour")
            return "done"

    instance = bench.create(Known)
    stranger = bench.worker()
    bench.work(stranger)
    assert "workflow 'known'" in caplog.text
    assert "is not registered in this worker" in caplog.text
    bench.clock.advance("1 minute")
    bench.work(stranger)
    assert (instance.status().status, instance.describe().started_at, bodies.ran) == ("queued", None, [])
    bench.after("1 minute")
    assert instance.status().status == "waiting"
    bench.clock.advance("1 hour")
    bench.work(stranger)
    bench.after("1 minute")
    assert instance.result(timeout=0) == "done"
    assert bodies.ran == ["one"]


@pytest.mark.parametrize("moment", ["before it is committed", "after it is committed"])
@pytest.mark.parametrize("colour", ["def", "async def"])
def test_a_commit_that_breaks_is_followed_by_another_try(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch, moment: str, colour: str
) -> None:
    class Two(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[str]:
            async def later(name: str) -> str:
                return str(bodies(name)())

            policy = {"retries": {"limit": 1, "delay": 0}}
            if colour == "def":
                return [await step.do(name, policy, bodies(name)) for name in ("first", "second")]
            return [await step.do(name, policy, later, name) for name in ("first", "second")]

    instance = bench.create(Two)
    bench.runtime.crowd.threads = 0  # so that it writes by the method that breaks
    broken = []
    real = bench.database.statement

    def statement(work: Callable[[Any], Any]) -> Any:
        if bodies.ran == ["first"] and not broken:
            broken.append(True)
            if moment.startswith("after"):
                real(work)
            raise ConnectionError("the line is cut")
        return real(work)

    monkeypatch.setattr(bench.database, "statement", statement)
    bench.work()
    bench.after("1 minute")
    assert broken
    assert instance.result(timeout=0) == ["first", "second"]
    assert bodies.ran == (["first", "first", "second"] if moment.startswith("before") else ["first", "second"])


def test_a_claim_that_breaks_is_made_again_by_whoever_comes(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    class One(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            return await step.do("one", bodies("one"))

    instance = bench.create(One)
    bench.runtime.crowd.threads = 0  # or the error would be logged, as it concerns nobody else
    with monkeypatch.context() as patched:
        patched.setattr(instances, "claim", lambda *a, **k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            bench.work()
    bench.after("6 seconds")
    assert instance.result(timeout=0) == "one"
