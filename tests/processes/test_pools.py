"""The other ways to start a worker do the same work: prefork, Celery's own command, and fleets for a queue."""

from __future__ import annotations

import pytest

from tests.processes.workers import PATIENCE_S, Process, Site, Stage, shown_running, until


@pytest.fixture(scope="module")
def prefork(lasting_site: Site) -> Process:
    return lasting_site.worker("--pool", "prefork", "--concurrency", "2", beats=2)


def test_prefork_does_every_kind_of_work_in_its_children(prefork: Process, lasting_stage: Stage) -> None:
    _every_kind_of_work(lasting_stage)

    assert len(lasting_stage.ledger.pids("ran")) == 2
    assert prefork.pid not in lasting_stage.ledger.pids("ran")


def test_prefork_ends_a_def_step_past_its_timeout_and_goes_on(
    prefork: Process, lasting_site: Site, lasting_stage: Stage
) -> None:
    stage = lasting_stage
    instance = stage.start("slow", wait_ms=500)
    (stuck,) = until(lambda: stage.ledger.pids("began", "slow"), "the slow step has begun")
    others = [stage.start("chain", count=5) for _ in range(3)]

    assert instance.result(PATIENCE_S) == "steptimeouterror"
    assert [other.result(PATIENCE_S) for other in others] == [10, 10, 10]
    # The body is not just given up: its process is gone, and another has taken its place.
    stage.open_gate()
    until(lambda: _replaced(lasting_site.beating(), stuck), "a new child")
    assert stage.start("fan", count=20, ms=50).result(PATIENCE_S) == list(range(20))
    assert stage.ledger.count("ended", "slow") == 0
    assert not prefork.ended


def test_a_long_step_in_prefork_is_in_nobodys_way(prefork: Process, lasting_stage: Stage) -> None:
    instance = lasting_stage.start("meanwhile", wait_ms=1200)
    shown_running(instance, "long")

    instance.send_event("news", "snow")
    lasting_stage.ledger.wait("heard", "snow")
    lasting_stage.ledger.wait("rested")
    lasting_stage.open_gate()

    assert instance.result(PATIENCE_S) == ["long", "snow", "rested"]


def test_celerys_own_command_does_every_kind_of_work(site: Site, own_stage: Stage) -> None:
    worker = site.celery("--concurrency", "4")

    _every_kind_of_work(own_stage)

    assert own_stage.ledger.pids("ran") == {worker.pid}


def test_celerys_own_command_may_prefork(site: Site, own_stage: Stage) -> None:
    worker = site.celery("--pool", "prefork", "--concurrency", "2", beats=2)

    assert own_stage.start("fan", count=10, ms=20).result(PATIENCE_S) == list(range(10))

    assert worker.pid not in own_stage.ledger.pids("ran")


def test_a_step_of_another_queue_is_run_by_its_own_fleet(site: Site, own_stage: Stage) -> None:
    here = site.worker()
    instances = [own_stage.start("elsewhere", queue=queue) for queue in ("gpu", "tpu")]
    for instance in instances:
        until(lambda: "queued" in [step.status for step in instance.describe().steps], "a step is ready for others")  # noqa: B023

    gpu, tpu = site.worker("-Q", "gpu"), site.celery("-Q", "orchestrator.tpu")

    assert instances[0].result(PATIENCE_S) == [here.pid, gpu.pid, here.pid]
    assert instances[1].result(PATIENCE_S) == [here.pid, tpu.pid, here.pid]


def _every_kind_of_work(stage: Stage) -> None:
    chain, fan = stage.start("chain", count=10), stage.start("fan", count=20, ms=20)
    asynchronous = stage.start("fan", count=20, ms=20, asynchronous=True)
    flaky, nap = stage.start("flaky", count=1, wait_ms=50), stage.start("nap", wait_ms=100)
    approval = stage.start("approval")
    approval.send_event("approval", {"by": "ann"})

    assert chain.result(PATIENCE_S) == 45
    assert fan.result(PATIENCE_S) == asynchronous.result(PATIENCE_S) == list(range(20))
    assert flaky.result(PATIENCE_S) == 2
    assert nap.result(PATIENCE_S)
    approval.send_event("receipt", 1)
    assert approval.result(PATIENCE_S) == {"by": "ann", "receipt": 1}
    assert stage.start("blocking-chain").result(PATIENCE_S) == 45


def _replaced(beating: list[str], pid: int) -> bool:
    return len(beating) == 2 and not any(f":{pid}:" in worker for worker in beating)
