"""What is done to all instances of a workflow: in the background, once, and never to those that came after."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator import WorkflowClient, WorkflowEntrypoint
from orchestrator.engine import housekeeping
from orchestrator.engine.host import register
from orchestrator.errors import UsageError, WorkflowNotFound
from tests.engine.bench import Bench


class Waiter(WorkflowEntrypoint):
    name = "waiter"
    schedules = "0 0 1 1 *"

    async def run(self, event: Any, step: Any) -> Any:
        if event.payload:
            return event.payload
        return (await step.wait_for_event("wait", "go")).payload


class Other(Waiter):
    name = "other"


@pytest.fixture
def waiters(bench: Bench) -> WorkflowClient[Any]:
    for workflow in (Waiter, Other):
        bench.registry.add(workflow)
    register(bench.runtime)
    return bench.client.workflow("waiter")


def counts(client: WorkflowClient[Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for view in client.list(limit=10_000):
        found[view.status] = found.get(view.status, 0) + 1
    return found


def many(bench: Bench, client: WorkflowClient[Any], number: int) -> None:
    for start in range(0, number, 100):
        client.create_batch(count=min(100, number - start))
    bench.work()


def test_all_are_terminated_in_the_background(bench: Bench, waiters: WorkflowClient[Any]) -> None:
    many(bench, waiters, 230)
    waiters.create("done")
    bench.client.workflow("other").create()
    bench.work()
    waiters.create_batch(count=3)
    assert waiters.terminate_all().status == "ok"
    assert waiters.terminate_all(["paused"]).status == "already_running"
    assert counts(waiters) == {"waiting": 230, "complete": 1, "queued": 3}
    bench.work()
    assert counts(waiters) == {"terminated": 233, "complete": 1}
    assert counts(bench.client.workflow("other")) == {"waiting": 1}
    assert waiters.terminate_all().status == "ok"


def test_only_those_in_the_statuses_that_are_named(bench: Bench, waiters: WorkflowClient[Any]) -> None:
    many(bench, waiters, 5)
    waiters.latest().pause()
    waiters.terminate_all(["paused", "queued"])
    bench.work()
    assert counts(waiters) == {"waiting": 4, "terminated": 1}


@pytest.mark.parametrize("statuses", [["complete"], ["waiting", "gone"], []])
def test_what_can_not_be_terminated_is_refused(bench: Bench, waiters: WorkflowClient[Any], statuses: list[str]) -> None:
    with pytest.raises(UsageError, match="can't be terminated"):
        waiters.terminate_all(statuses)


def test_those_that_come_after_the_job_are_left_alone(bench: Bench, waiters: WorkflowClient[Any]) -> None:
    many(bench, waiters, 150)
    waiters.terminate_all()
    assert housekeeping.tidy(bench.runtime)
    waiters.create(id="later")
    bench.work()
    assert counts(waiters) == {"terminated": 150, "waiting": 1}


def test_a_job_survives_the_worker_that_does_it(bench: Bench, waiters: WorkflowClient[Any]) -> None:
    many(bench, waiters, 120)
    waiters.terminate_all()
    bench.database.transaction(  # taken, and never heard of again
        lambda connection: connection.exec_driver_sql(
            f"UPDATE orchestrator_jobs SET run_at = {bench.clock.now_ms() + 30_000}"
        )
    )
    bench.work()
    assert counts(waiters) == {"waiting": 120}
    bench.after("30 seconds")
    assert counts(waiters) == {"terminated": 120}


def test_a_workflow_is_deleted_with_its_schedules_and_all_its_instances(
    bench: Bench, waiters: WorkflowClient[Any]
) -> None:
    many(bench, waiters, 230)
    waiters.create("done")
    bench.client.workflow("other").create()
    bench.work()
    assert waiters.delete().status == "ok"
    assert waiters.delete().status == "already_running"
    assert [view.name for view in bench.client.workflows()] == ["other"]
    assert [view.workflow for view in bench.client.schedules()] == ["other"]
    with pytest.raises(WorkflowNotFound):
        bench.client.workflow("waiter")
    bench.work()
    bench.tidy()
    assert counts(waiters) == {}
    assert len(bench.rows("SELECT 1 FROM @timers")) == 1
    assert bench.rows("SELECT 1 FROM @steps UNION ALL SELECT 1 FROM @removals UNION ALL SELECT 1 FROM @jobs") == []
    assert counts(bench.client.workflow("other")) == {"waiting": 1}
    register(bench.runtime)
    assert bench.client.workflow("waiter").list() == []


def test_a_deleted_workflow_that_runs_stops(bench: Bench, waiters: WorkflowClient[Any]) -> None:
    ran: list[str] = []

    class Deleter(WorkflowEntrypoint):
        name = "deleter"

        async def run(self, event: Any, step: Any) -> None:
            def first() -> None:
                ran.append("first")
                bench.client.workflow(Deleter).delete()
                while housekeeping.tidy(bench.runtime):
                    pass

            await step.do("first", first)
            await step.do("second", lambda: ran.append("second"))

    bench.run(Deleter)
    assert ran == ["first"]
    assert bench.rows("SELECT 1 FROM @instances WHERE workflow = 'deleter'") == []
