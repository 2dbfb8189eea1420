"""What Cloudflare's own tests assert of steps and no other file here tries; the numbers are those of docs/cloudflare.md."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator import Client, NonRetryableError, WorkflowEntrypoint
from orchestrator.engine.host import register
from tests.engine.bench import Bench, Failing

NOW = {"retries": {"limit": 3, "delay": 0}}


@pytest.mark.cloudflare(1)
def test_a_step_that_succeeds_at_once_has_seen_attempt_one(bench: Bench) -> None:
    class Plain(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            return await step.do("a", lambda ctx: ctx.attempt)

    assert bench.run(Plain).result(timeout=0) == 1


@pytest.mark.cloudflare(18)
def test_a_result_as_large_as_is_allowed_is_stored_once_and_handed_on_whole(bench: Bench) -> None:
    large = "x" * (1024 * 1024 - len('{"data":""}'))

    class Large(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            made = await step.do("make", lambda: {"data": large})
            return await step.do("measure", lambda: len(made["data"]))

    instance = bench.run(Large)
    assert instance.result(timeout=0) == len(large)
    assert instance.step("make").output == {"data": large}
    (stored,) = bench.rows("SELECT length(result) AS n FROM @steps WHERE key = 'do:make:1'")
    assert stored.n == 1024 * 1024


@pytest.mark.cloudflare(81)
def test_limits_and_retention_come_and_go_with_the_class_that_workers_start_with(bench: Bench) -> None:
    async def run(self: Any, event: Any, step: Any) -> None: ...

    def deployed(**attributes: Any) -> Any:
        register(bench.worker(type("Report", (WorkflowEntrypoint,), {"run": run, **attributes})))
        view = bench.client.workflow("report").describe()
        return view.limits, view.concurrency, view.default_retention

    assert deployed(limits={"steps": 7}, concurrency={"limit": 2}) == ({"steps": 7}, {"limit": 2}, {})
    kept = {"success_retention": 3_600_000}
    assert deployed(default_retention={"success_retention": "1 hour"}) == ({}, {}, kept)
    assert deployed() == ({}, {}, {})


@pytest.mark.cloudflare(46)
def test_who_has_never_worked_on_an_instance_reads_its_status_from_the_database(bench: Bench) -> None:
    class Slow(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.do("a", lambda: None)
            await step.wait_for_event("b", "b")

    made = bench.run(Slow)
    bench.restart_process()
    with Client(bench.settings) as stranger:
        found = stranger.workflow(Slow).get(made.id)
        assert found.status().status == "waiting"
        assert [step.status for step in found.describe().steps] == ["complete", "waiting"]


@pytest.mark.cloudflare(53)
def test_an_instance_under_way_has_outputs_of_steps_and_none_of_its_own_and_so_has_each_of_a_batch(
    bench: Bench,
) -> None:
    class Doubling(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            doubled = await step.do("double", lambda: event.payload * 2)
            await step.sleep("rest", "1 minute")
            return doubled + 1

    bench.registry.add(Doubling)
    batch = bench.client.workflow(Doubling).create_batch([{"params": 1}, {"params": 10}])
    bench.work()
    for instance, doubled in zip(batch.created, (2, 20), strict=True):
        assert (instance.status().status, instance.status().output) == ("waiting", None)
        assert instance.step("double").output == doubled
    bench.after("1 minute")
    assert [instance.result(timeout=0) for instance in batch.created] == [3, 21]


@pytest.mark.cloudflare(12)
def test_a_failure_that_is_caught_fails_its_step_and_not_the_instance(bench: Bench) -> None:
    class Careful(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            try:
                await step.do("a", {"retries": {"limit": 0, "delay": 0}}, Failing())
            except ValueError as error:
                return f"caught {error}"
            return "nothing to catch"

    instance = bench.run(Careful)
    assert instance.result(timeout=0) == "caught no"
    types = [event.type for event in instance.subscribe()]
    assert types.count("step_errored") == 1
    assert types[-1] == "workflow_completed"
    assert "workflow_errored" not in types


@pytest.mark.cloudflare(13)
@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (ValueError("no"), 4),
        (ValueError(""), 4),
        (ValueError(), 4),
        (NonRetryableError("no"), 1),
        (NonRetryableError(""), 1),
    ],
    ids=repr,
)
def test_whether_there_is_another_attempt_does_not_depend_on_the_message(
    bench: Bench, error: Exception, attempts: int
) -> None:
    body = Failing(error=lambda: error)

    class Retried(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            return await step.do("a", NOW, body)

    assert bench.run(Retried).status().status == "errored"
    assert body.attempts == attempts


@pytest.mark.cloudflare(14)
def test_a_delay_that_a_function_gave_is_told_with_the_failed_attempt(bench: Bench) -> None:
    body = Failing(times=1)

    class Delayed(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            retries = {"limit": 1, "delay": lambda ctx, error: 50, "backoff": "constant"}
            return await step.do("a", {"retries": retries}, body)

    instance = bench.run(Delayed)
    subscription, failed = instance.subscribe(), []
    while (event := subscription.next(0)) is not None:
        if event.type == "attempt_errored":
            failed.append(event.data["retry_delay_ms"])
    assert failed == [50]
    bench.after(50)
    assert instance.result(timeout=0) == "done"


@pytest.mark.cloudflare(63)
def test_a_handler_never_sees_the_mark_of_a_delay_function(bench: Bench) -> None:
    seen: list[Any] = []

    class Undone(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            retries = {"limit": 1, "delay": lambda ctx, error: 50}
            await step.do("a", {"retries": retries}, lambda: None, rollback=lambda ctx: seen.append(ctx.config))
            raise ValueError("over")

    instance = bench.run(Undone)
    assert instance.status().rollback == {"outcome": "complete", "error": None}
    (config,) = seen
    assert config["retries"] == {"limit": 1, "backoff": "exponential"}


@pytest.mark.cloudflare(51)
def test_the_status_has_the_output_the_error_and_what_the_steps_returned(bench: Bench) -> None:
    class Told(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            await step.do("first", lambda: 1)
            await step.do("second", lambda: {"n": 2})
            how = (await step.wait_for_event("how", "end")).payload
            if how == "fail":
                raise ValueError("as told")
            return {"ended": how}

    done, failed, stopped = (bench.run(Told) for _ in range(3))
    for instance in (done, failed, stopped):
        state, detail = instance.status(), instance.describe()
        assert (state.status, state.output, state.error) == ("waiting", None, None)
        assert [step.output for step in detail.steps if step.status == "complete"] == [1, {"n": 2}]
    done.send_event("end", "well")
    failed.send_event("end", "fail")
    stopped.terminate()
    bench.work()
    assert [
        (state.status, state.output, state.error) for state in (done.status(), failed.status(), stopped.status())
    ] == [
        ("complete", {"ended": "well"}, None),
        ("errored", None, {"name": "ValueError", "message": "as told"}),
        ("terminated", None, None),
    ]
    assert [step.output for step in stopped.describe().steps][:2] == [1, {"n": 2}]
