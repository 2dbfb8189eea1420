"""What workers and clients make of their services: a broker that is away, a database that is behind, Redis's news."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from orchestrator.client import instance as instance_module
from tests.cli.processes import ORCHESTRATOR, PYTHON
from tests.processes.app import Chain
from tests.processes.workers import PATIENCE_S, Site, Stage, reaches, until
from tests.services import ValkeyServer

REFUSED_S = 0.5
"""Much less than a try to reach a broker takes at the worst, and more than a commit on a busy machine."""
SLOW_MACHINE_S = 5.0


@pytest.fixture(scope="module")
def busy_site(lasting_site: Site) -> Site:
    """With a worker that has little patience with lost messages."""
    lasting_site.worker(ORCHESTRATOR_GRACE_MS="300")
    return lasting_site


@pytest.fixture
def broker() -> Iterator[ValkeyServer]:
    """One that a test may stop."""
    with ValkeyServer() as server:
        yield server


def test_creating_without_a_broker_is_quick_and_loses_nothing(
    broker: ValkeyServer, postgres_url: str, tmp_path: Path
) -> None:
    with Site(tmp_path, postgres_url, broker.url) as site, Stage(site.client, tmp_path) as stage:
        site.worker()
        assert stage.start("chain", count=2).result(PATIENCE_S) == 1

        broker.stop()
        took, instances = [], []
        for _ in range(20):
            began = time.monotonic()
            instances.append(stage.start("chain", count=2))
            took.append(time.monotonic() - began)
        broker.start()

        # The first has found out; the others do not try for a while.
        assert max(took) < SLOW_MACHINE_S
        assert sorted(took)[len(took) // 2] < REFUSED_S
        assert [instance.result(PATIENCE_S) for instance in instances] == [1] * 20


def test_a_broker_that_has_forgotten_everything_costs_nothing_but_time(busy_site: Site, lasting_stage: Stage) -> None:
    asleep, waiting = lasting_stage.start("nap", wait_ms=1500), lasting_stage.start("approval")
    reaches(asleep, "waiting")
    reaches(waiting, "waiting")

    with Redis.from_url(busy_site.redis_url or "") as redis:
        redis.flushall()
    waiting.send_event("approval", {"by": "ann"})
    waiting.send_event("receipt", 1)

    assert waiting.result(PATIENCE_S) == {"by": "ann", "receipt": 1}
    began, ended = asleep.result(PATIENCE_S)
    assert ended - began >= 1500


def test_who_waits_for_an_event_is_kept_in_redis_by_type(busy_site: Site, lasting_stage: Stage) -> None:
    instance = lasting_stage.start("approval")
    with Redis.from_url(busy_site.redis_url or "", decode_responses=True) as redis:
        (key,) = until(lambda: redis.keys("orchestrator:waiting:*"), "a key for the waiting instance")
        assert key.endswith(":approval")
        assert redis.get(key) == "default"

        reaches(instance, "waiting")
        instance.send_event("approval", {"by": "ann"})

        until(lambda: not redis.exists(key), "the key is taken by whoever sent the event")
        until(lambda: [k for k in redis.keys("orchestrator:waiting:*") if k.endswith(":receipt")], "the next wait")
    instance.terminate()


def test_a_watcher_in_another_process_is_told_by_redis(
    busy_site: Site, lasting_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever waits looks by itself only so seldom that no test could pass by it.
    monkeypatch.setattr(instance_module, "FIRST_LOOK_S", 20.0)
    monkeypatch.setattr(instance_module, "LAST_LOOK_S", 20.0)

    late_ms = [_told_late_ms(busy_site, lasting_stage, number) for number in range(3)]

    assert min(late_ms) < 50, late_ms
    assert max(late_ms) < 2000, late_ms


def test_a_worker_leaves_a_workflow_that_it_does_not_know_to_others(site: Site, own_stage: Stage) -> None:
    one_workflow = str(Path(__file__).with_name("one_workflow.py"))
    stranger = site.worker(ORCHESTRATOR_APP=one_workflow, ORCHESTRATOR_GRACE_MS="200")

    instance = site.client.workflow(Chain).create(own_stage.plan(count=2))
    until(lambda: "'chain'" in stranger.said(), "the worker says that it does not know the workflow")
    assert "not registered in this worker" in stranger.said()
    until(lambda: stranger.said().count("not registered in this worker") >= 2, "it looks again, as nobody else does")
    until(lambda: instance.status().status == "queued", "it is nobody's")
    site.worker(ORCHESTRATOR_GRACE_MS="200")

    assert instance.result(PATIENCE_S) == 1
    assert site.client.workflow("only").create().result(PATIENCE_S) == "only this"


def test_a_sleep_ends_in_time_though_the_workers_clocks_differ(site: Site, own_stage: Stage) -> None:
    site.worker()
    site.worker(ORCHESTRATOR_APP=str(Path(__file__).with_name("late_clock.py")), BEHIND_MS="150")

    instances = [own_stage.start("nap", wait_ms=200) for _ in range(12)]

    for instance in instances:
        instance.result(PATIENCE_S)
        nap = next(step for step in instance.describe().steps if step.name == "nap")
        assert nap.started_at is not None
        assert nap.ended_at is not None
        # A countdown that comes early by the other's clock is spent; the pump makes up for a lost one after 5 s.
        assert nap.ended_at - nap.started_at < 200 + 150 + 2500


@pytest.mark.parametrize("command", ["orchestrator", "celery"])
def test_a_worker_refuses_a_database_that_is_behind_and_says_what_to_run(
    empty_postgres_url: str, valkey_url: str, tmp_path: Path, command: str
) -> None:
    start = (
        [*ORCHESTRATOR, "worker"] if command == "orchestrator" else [PYTHON, "-m", "celery", "-A", "tasks", "worker"]
    )
    with Site(tmp_path, empty_postgres_url, valkey_url) as site:
        worker = site.run(*start)

        assert worker.wait() == 1
        assert "orchestrator db upgrade" in worker.said()
        assert "Traceback" not in worker.said()


def _told_late_ms(site: Site, stage: Stage, number: int) -> float:
    """How long after an instance had ended `result()` came back in this process."""
    stage.gate = stage.folder / f"gate-{number}"
    instance = stage.start("held")
    stage.ledger.wait("began", "first", times=number + 1)
    returned: list[float] = []

    def watch() -> None:
        instance.result(PATIENCE_S)
        returned.append(time.time() * 1000)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with Redis.from_url(site.redis_url or "") as redis:
        until(lambda: redis.pubsub_channels("orchestrator:changed:*"), "the watcher listens")
    stage.open_gate()
    watcher.join(PATIENCE_S)
    ended_at = instance.describe().ended_at
    assert ended_at is not None
    return returned[0] - ended_at
