"""A worker that dies is replaced, and what ran in it has cost one attempt: a step that kills its worker ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from tests.engine.bench import Bench, steps_of


class Killed(BaseException):
    """The process ends here: nothing of the engine may catch this."""


class Poisoned(WorkflowEntrypoint):
    """A step that takes its worker along, as often as it is told."""

    deaths = 0
    attempts = 0

    async def run(self, event: Any, step: Any) -> str:
        def body() -> str:
            Poisoned.attempts += 1
            if Poisoned.attempts <= event.payload["deaths"]:
                raise Killed
            return "survived"

        policy = {"retries": {"limit": 2, "delay": "1 minute", "backoff": "constant"}}
        if event.payload["parallel"]:
            results = await asyncio.gather(step.do("poison", policy, body), step.do("other", policy, lambda: "fine"))
            return str(results[0])
        return str(await step.do("poison", policy, body))


def die(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work as a process that ends when a body raises Killed: what it holds stays in its name until its lease is over."""
    worker = bench.worker(registry=bench.registry)
    bench.beat(worker)
    real = type(worker.runner).run_sync

    def run_sync(runner: Any, order: Any) -> Any:
        report = real(runner, order)
        if report.error is not None and report.error["name"] == "Killed":
            raise Killed
        return report

    with monkeypatch.context() as patched:
        patched.setattr(type(worker.runner), "run_sync", run_sync)
        patched.setattr("orchestrator.engine.endings.give_back_unfinished", lambda *a: None)
        with pytest.raises(Killed):
            bench.work(worker)


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("deaths", [2, 3])
def test_a_step_that_kills_its_worker_runs_out_of_attempts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, deaths: int, parallel: bool
) -> None:
    Poisoned.attempts = 0
    instance = bench.create(Poisoned, {"deaths": deaths, "parallel": parallel})
    for death in range(deaths):
        die(bench, monkeypatch)
        assert instance.status().status == "running"
        bench.after(bench.settings.lease_ms + 1)
        if death + 1 < 3:
            assert instance.status().status in ("waiting", "running")
            bench.clock.advance("1 minute")
    bench.work()
    assert Poisoned.attempts == min(deaths + 1, 3), "a death costs exactly one attempt"
    if deaths == 2:
        assert instance.result(timeout=0) == "survived"
    else:
        error = instance.status().error
        assert error is not None
        assert error["name"] == "WorkerLostError"
    log = steps_of(instance)["poison-1"].attempt_log
    assert [attempt.attempt for attempt in log] == [1, 2, 3]
    assert [(attempt.error or {}).get("name") for attempt in log[:deaths]] == ["WorkerLostError"] * deaths


def test_a_finished_step_is_not_charged_when_its_worker_dies_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Two(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            await step.do("fine", lambda: "fine")
            return await step.do("poison", {"retries": {"limit": 1, "delay": 0}}, poison)

    ran = []

    def poison() -> str:
        ran.append("poison")
        if len(ran) == 1:
            raise Killed
        return "survived"

    instance = bench.create(Two)
    die(bench, monkeypatch)
    bench.after(bench.settings.lease_ms + 1)
    assert instance.result(timeout=0) == "survived"
    assert [step.attempts for step in instance.describe().steps] == [1, 2]


def test_a_worker_that_says_it_is_alive_is_never_taken_over(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    Poisoned.attempts = 0
    instance = bench.create(Poisoned, {"deaths": 1, "parallel": False})
    die(bench, monkeypatch)
    (holder,) = bench.rows("SELECT holder FROM @instances")
    for _ in range(5):
        bench.after(bench.settings.lease_ms - 1)
        bench.database.statement(
            lambda connection: connection.exec_driver_sql(
                f"UPDATE orchestrator_workers SET heartbeat_at = {bench.clock.now_ms()}"
            )
        )
    assert instance.status().status == "running"
    assert bench.rows("SELECT holder FROM @instances") == [holder]
    assert Poisoned.attempts == 1
