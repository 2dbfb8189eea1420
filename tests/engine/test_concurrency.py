"""A workflow's limit of instances that run at once: never exceeded, never leaked, and what waits needs no slot."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from orchestrator import WorkflowClient, WorkflowEntrypoint
from orchestrator.authoring.registry import Registry
from orchestrator.client import Instance
from orchestrator.engine import pump
from orchestrator.engine.activation import advance
from orchestrator.engine.host import register
from orchestrator.engine.step_runs import run_steps
from orchestrator.errors import InvalidWorkflowSettings, SetupError, WorkflowNotFound
from tests.engine.bench import Bench, Failing


class Job(WorkflowEntrypoint):
    """Runs until a worker of the other queue has done its step; with a nap before it if it is asked to."""

    name = "job"
    concurrency = {"limit": 2}  # noqa: RUF012

    async def run(self, event: Any, step: Any) -> str:
        if event.payload.get("nap"):
            await step.sleep("nap", event.payload["nap"])
        if event.payload.get("wait"):
            await step.wait_for_event("wait", "go")
        return str(await step.do("work", {"queue": "gpu"}, lambda: "done"))


class Free(WorkflowEntrypoint):
    name = "free"

    async def run(self, event: Any, step: Any) -> str:
        return str(await step.do("work", {"queue": "gpu"}, lambda: "done"))


@pytest.fixture
def jobs(bench: Bench) -> WorkflowClient[Any]:
    for workflow in (Job, Free):
        bench.registry.add(workflow)
    register(bench.runtime)
    return bench.client.workflow(Job)


def start(bench: Bench, jobs: WorkflowClient[Any], *ids: str, **params: Any) -> list[Instance]:
    """Create them one after another, so that it is known who came first."""
    made = []
    for id in ids:
        bench.clock.advance(1)
        made.append(jobs.create(params, id=id))
    bench.work()
    return made


def do_step(bench: Bench, instance: Instance) -> None:
    """The other queue's worker does this instance's step, and whatever follows from it."""
    gpu = bench.worker(registry=bench.registry, queues=("gpu",))

    run_steps(gpu, instance._pk)
    bench.work()


def in_status(jobs: WorkflowClient[Any], status: str) -> list[str]:
    return sorted(view.id for view in jobs.list(status=[status], limit=100))


def test_more_than_the_limit_are_queued_and_go_on_in_turn(bench: Bench, jobs: WorkflowClient[Any]) -> None:
    made = start(bench, jobs, "a", "b", "c", "d", "e")
    assert (in_status(jobs, "running"), in_status(jobs, "queued")) == (["a", "b"], ["c", "d", "e"])
    assert "slot" in str(made[2].describe().waiting_for)
    do_step(bench, made[1])
    assert in_status(jobs, "running") == ["a", "c"]
    do_step(bench, made[0])
    assert in_status(jobs, "running") == ["c", "d"]
    for instance in made[2:]:
        do_step(bench, instance)
    assert in_status(jobs, "complete") == ["a", "b", "c", "d", "e"]


def test_the_next_is_rung_for_as_soon_as_a_slot_is_free(bench: Bench, jobs: WorkflowClient[Any]) -> None:
    made = start(bench, jobs, "a", "b", "c", "d")
    for act in (made[0].terminate, made[1].pause):
        act()
        while (ring := bench.doorbell.due()) is not None:  # the pump has no part in this
            if ring.task == "advance":
                advance(bench.runtime, ring.instance_pk)
    assert in_status(jobs, "running") == ["c", "d"] or made[1].status().status == "waitingForPause"
    made[1].delete()
    bench.work()
    assert in_status(jobs, "running") == ["c", "d"]
    assert in_status(jobs, "queued") == []


def test_one_that_waits_needs_no_slot_and_comes_before_new_ones_when_it_wakes(
    bench: Bench, jobs: WorkflowClient[Any]
) -> None:
    sleepers = start(bench, jobs, "s1", "s2", "s3", nap="1 hour")
    waiter = start(bench, jobs, "w", wait=True)[0]
    assert in_status(jobs, "waiting") == ["s1", "s2", "s3", "w"]
    busy = start(bench, jobs, "a", "b", "c", "d")
    assert in_status(jobs, "running") == ["a", "b"]
    waiter.send_event("go")
    bench.work()
    bench.after("1 hour")
    assert in_status(jobs, "queued") == ["c", "d", "s1", "s2", "s3", "w"]
    order = []
    running = {"a": busy[0], "b": busy[1]}
    everyone = {instance.id: instance for instance in [*sleepers, waiter, *busy]}
    while running:
        do_step(bench, running.pop(min(running)))
        for id in in_status(jobs, "running"):
            if id not in running:
                order.append(id)
                running[id] = everyone[id]
    assert order[0] == "w"
    assert sorted(order[1:4]) == ["s1", "s2", "s3"]
    assert order[4:] == ["c", "d"]
    assert len(in_status(jobs, "complete")) == 8


def test_who_is_in_line_is_left_alone_until_its_turn(bench: Bench, jobs: WorkflowClient[Any]) -> None:
    start(bench, jobs, "s1", "s2", nap="1 hour")
    start(bench, jobs, "a", "b", "c")
    bench.after("1 hour")
    bench.clock.advance("1 day")
    gone = []
    for _ in range(3):
        bench.clock.advance("10 seconds")
        pump.tick(bench.runtime)
        while (ring := bench.doorbell.due(["default"])) is not None:
            gone.append(ring.instance_pk)
    queued = {row.id for row in bench.rows("SELECT id FROM @instances WHERE status = 'queued'")}
    assert len(queued) == 3
    assert queued.isdisjoint(gone)


def test_a_sleep_that_goes_on_is_not_forgotten_by_one_that_was_in_line(bench: Bench, jobs: WorkflowClient[Any]) -> None:
    """It was woken by one thing, stood in line, and then waits for another that has been there all along."""

    class Both(WorkflowEntrypoint):
        name = "both"
        concurrency = {"limit": 1}  # noqa: RUF012

        async def run(self, event: Any, step: Any) -> str:
            if event.payload.get("busy"):
                return str(await step.do("work", {"queue": "gpu"}, lambda: "done"))
            nap = asyncio.ensure_future(step.sleep("nap", "2 hours"))
            await step.wait_for_event("wait", "go")
            await nap
            return "awake"

    bench.registry.add(Both)
    register(bench.runtime)
    both = bench.client.workflow(Both)
    (sleeper,) = start(bench, both, "sleeper")
    (busy,) = start(bench, both, "busy", busy=True)
    sleeper.send_event("go")
    bench.work()
    assert sleeper.status().status == "queued"
    bench.after("1 hour")
    do_step(bench, busy)
    assert sleeper.status().status == "waiting"
    bench.after("1 hour")
    assert sleeper.result(timeout=0) == "awake"


def test_a_lost_ring_for_the_next_in_line_is_made_up_for_by_the_pump(bench: Bench, jobs: WorkflowClient[Any]) -> None:
    made = start(bench, jobs, "a", "b", "c")
    bench.database.transaction(
        lambda connection: connection.exec_driver_sql(
            f"UPDATE orchestrator_instances SET status = 'complete', ended_at = 1 WHERE id = {made[0]._pk}"
        )
    )
    assert in_status(jobs, "queued") == ["c"]
    bench.after("1 second")
    assert in_status(jobs, "running") == ["b", "c"]


def test_a_pause_and_a_resume_bring_it_to_the_front_of_the_line(bench: Bench, jobs: WorkflowClient[Any]) -> None:
    made = start(bench, jobs, "a", "b", "c", "d")
    made[2].pause()
    bench.work()
    assert (made[2].status().status, in_status(jobs, "queued")) == ("paused", ["d"])
    do_step(bench, made[0])
    assert in_status(jobs, "running") == ["b", "d"]
    made[2].resume()
    bench.work()
    assert made[2].status().status == "queued"
    do_step(bench, made[1])
    assert in_status(jobs, "running") == ["c", "d"]


def test_a_restart_gives_the_slot_to_whoever_is_next(bench: Bench, jobs: WorkflowClient[Any]) -> None:
    made = start(bench, jobs, "a", "b", "c")
    made[0].restart()
    bench.work()
    assert len(in_status(jobs, "running")) == 2
    assert len(in_status(jobs, "queued")) == 1


class Undone(WorkflowEntrypoint):
    """Books, and fails or waits then; undoing the booking takes three attempts, an hour apart."""

    name = "undone"
    concurrency = {"limit": 1}  # noqa: RUF012

    async def run(self, event: Any, step: Any) -> None:
        if event.payload.get("busy"):
            await step.do("work", {"queue": "gpu"}, lambda: "done")
            return
        retries = {"retries": {"limit": 2, "delay": "1 hour", "backoff": "constant"}}
        await step.do("book", lambda: 1, rollback=Failing(times=2), rollback_config=retries)
        if event.payload.get("wait"):
            await step.wait_for_event("wait", "go")
        raise ValueError("sold out")


def test_one_that_is_rolled_back_keeps_its_slot_until_all_is_undone(bench: Bench) -> None:
    """Also between two attempts: nobody begins in the middle of what is half undone."""
    bench.registry.add(Undone)
    register(bench.runtime)
    undone = bench.client.workflow(Undone)
    start(bench, undone, "a")
    start(bench, undone, "b", busy=True)
    assert (in_status(undone, "rollingBack"), in_status(undone, "queued")) == (["a"], ["b"])
    bench.after("1 hour")
    assert (in_status(undone, "rollingBack"), in_status(undone, "queued")) == (["a"], ["b"])
    bench.after("1 hour")
    assert (in_status(undone, "errored"), in_status(undone, "running")) == (["a"], ["b"])


def test_a_rollback_waits_for_no_slot_and_others_wait_until_there_is_one_again(bench: Bench) -> None:
    bench.registry.add(Undone)
    register(bench.runtime)
    undone = bench.client.workflow(Undone)
    (waiter,) = start(bench, undone, "waiter", wait=True)
    busy, _ = start(bench, undone, "a", "b", busy=True)
    assert (in_status(undone, "running"), in_status(undone, "queued")) == (["a"], ["b"])
    waiter.terminate(rollback=True)
    bench.work()
    assert [step.attempts for step in waiter.describe().steps if step.kind == "rollback"] == [1], "begun at once"
    do_step(bench, busy)
    assert (in_status(undone, "rollingBack"), in_status(undone, "queued")) == (["waiter"], ["b"])
    bench.after("1 hour")
    bench.after("1 hour")
    assert (in_status(undone, "terminated"), in_status(undone, "running")) == (["waiter"], ["b"])


def test_the_slot_of_a_dead_worker_is_not_lost(bench: Bench, jobs: WorkflowClient[Any]) -> None:
    start(bench, jobs, "a", "b", "c")
    dead = bench.worker(registry=bench.registry)
    bench.beat(dead)
    bench.database.transaction(
        lambda connection: connection.exec_driver_sql(
            f"UPDATE orchestrator_instances SET holder = '{dead.worker_id}' WHERE instance_id = 'a'"
        )
    )
    bench.clock.advance("1 minute")
    bench.work()
    assert in_status(jobs, "running") == ["a", "b"]
    assert bench.rows("SELECT holder FROM @instances WHERE holder IS NOT NULL") == []


def test_workflows_without_a_limit_are_not_held_back(bench: Bench, jobs: WorkflowClient[Any]) -> None:
    start(bench, jobs, "a", "b", "c")
    free = bench.client.workflow(Free)
    start(bench, free, *"defgh")
    assert in_status(free, "running") == list("defgh")
    assert bench.rows("SELECT instance_id FROM @instances WHERE place IS NOT NULL") == [("c",)]


def test_a_limit_is_changed_from_outside_while_instances_run(bench: Bench, jobs: WorkflowClient[Any]) -> None:
    made = start(bench, jobs, *"abcdefgh")
    assert jobs.configure(concurrency={"limit": 4}).concurrency == {"limit": 4}
    bench.after("1 second")
    assert in_status(jobs, "running") == list("abcd")
    register(bench.runtime)  # a worker that starts does not take it back
    jobs.configure(concurrency={"limit": 1})
    bench.after("1 second")
    do_step(bench, made[0])
    assert in_status(jobs, "running") == list("bcd")
    assert jobs.configure(concurrency=None).concurrency == {"limit": 2}
    assert jobs.configure(concurrency={}).concurrency == {}
    bench.after("1 second")
    assert in_status(jobs, "queued") == []
    assert bench.rows("SELECT 1 FROM @instances WHERE place IS NOT NULL") == []


@pytest.mark.parametrize("limit", [1, 3])
def test_workers_that_race_never_exceed_the_limit(bench: Bench, jobs: WorkflowClient[Any], limit: int) -> None:
    jobs.configure(concurrency={"limit": limit})
    made = jobs.create_batch(count=24).created
    workers = [bench.worker(registry=bench.registry) for _ in range(6)]
    for worker in workers:
        pump.tick(worker)
    for _ in range(2):
        together = threading.Barrier(len(workers))

        def work(worker: Any) -> None:
            together.wait(30)  # noqa: B023
            for instance in made:
                advance(worker, instance._pk)

        threads = [threading.Thread(target=work, args=[worker]) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(in_status(jobs, "running")) == limit
    for _ in range(40):
        for id in in_status(jobs, "running"):
            do_step(bench, jobs.get(id))
        assert len(in_status(jobs, "running")) <= limit
    assert len(in_status(jobs, "complete")) == 24


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": "2"}, {"limit": True}, {"limits": 2}, 2, {"limit": 10**9}])
def test_a_wrong_limit_is_refused(bench: Bench, jobs: WorkflowClient[Any], wrong: Any) -> None:
    with pytest.raises(InvalidWorkflowSettings, match="concurrency of workflow 'job'"):
        jobs.configure(concurrency=wrong)
    with pytest.raises(SetupError, match="concurrency of workflow 'wrong'"):
        Registry([type("Wrong", (Job,), {"concurrency": wrong, "name": "wrong"})])


def test_settings_that_there_are_not_are_refused(bench: Bench, jobs: WorkflowClient[Any]) -> None:
    with pytest.raises(InvalidWorkflowSettings, match="speed"):
        jobs.configure(speed=11)

    class Unknown(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None: ...

    with pytest.raises(WorkflowNotFound):
        bench.client.workflow(Unknown).configure(concurrency={"limit": 1})
