"""`orchestrator dev` beside other processes on the same file, and on real services: near, quiet, and quick to stop."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator import Instance
from tests.cli.processes import ORCHESTRATOR
from tests.processes.workers import PATIENCE_S, Site, Stage, reaches, until

SLOW_MACHINE_S = 30.0
LONG_LEASE_S = 600


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A directory in which somebody has started `orchestrator dev`, and this process, which is another one."""
    folder = tmp_path_factory.mktemp("home")
    with _home(folder) as site:
        site.dev()
        yield site


@pytest.fixture
def near(home: Site, tmp_path: Path) -> Iterator[Stage]:
    with Stage(home.client, tmp_path) as stage:
        yield stage


def test_what_another_process_creates_begins_within_milliseconds(near: Stage) -> None:
    begins_after_ms = []
    for _ in range(7):
        instance = near.start("chain", count=1)
        instance.result(PATIENCE_S)
        detail = instance.describe()
        assert detail.started_at is not None
        begins_after_ms.append(detail.started_at - detail.created_at)

    # Its pump looks once a second; it notices the file instead.
    assert sorted(begins_after_ms)[3] < 100, begins_after_ms


def test_the_command_line_in_a_second_terminal_reaches_it(home: Site, near: Stage) -> None:
    trigger = home.run(*ORCHESTRATOR, "trigger", "approval", json.dumps(near.plan()), "--id", "by-hand")
    assert trigger.wait() == 0, trigger.said()
    instance = near.client.workflow("approval").get("by-hand")
    reaches(instance, "waiting")

    for event, payload in (("approval", '{"by": "ann"}'), ("receipt", "1")):
        sent = home.run(
            *ORCHESTRATOR, "instances", "send-event", "approval", "by-hand", "--type", event, "--payload", payload
        )
        assert sent.wait() == 0, sent.said()

    assert instance.result(PATIENCE_S) == {"by": "ann", "receipt": 1}
    detail = instance.describe()
    assert detail.started_at is not None
    assert detail.started_at - detail.created_at < 1000


def test_an_event_from_another_process_is_answered_within_milliseconds(near: Stage) -> None:
    late_ms = []
    for _ in range(5):
        instance = near.start("approval")
        reaches(instance, "waiting")
        instance.send_event("approval", {"by": "ann"})
        until(lambda: _has(instance, "ship"), "the step after the event")  # noqa: B023
        steps = {step.name: step for step in instance.describe().steps}
        approved, shipped = steps["manager approves"].ended_at, steps["ship"].started_at
        assert approved is not None
        assert shipped is not None
        late_ms.append(shipped - approved)
        instance.terminate()

    assert sorted(late_ms)[2] < 100, late_ms


def test_other_processes_may_pause_resume_and_terminate(near: Stage) -> None:
    instance, doomed = near.start("held"), near.start("held", asynchronous=True)
    near.ledger.wait("began", times=2)

    instance.pause()
    doomed.terminate()
    near.ledger.wait("cancelled", within_s=PATIENCE_S)
    near.open_gate()
    reaches(instance, "paused")
    instance.resume()

    assert instance.result(PATIENCE_S) == ["first", "2"]
    assert doomed.status().status == "terminated"


def test_a_schedule_is_there_and_starts_an_instance_when_it_is_told_to(near: Stage) -> None:
    workflow = near.client.workflow("yearly")
    (schedule,) = workflow.schedules()
    assert schedule.next_at == schedule.next_times[0] > schedule.created_at
    moment = datetime.fromtimestamp(schedule.next_times[0] / 1000, UTC)
    assert (moment.month, moment.day, moment.hour, moment.minute) == (2, 29, 7, 0)

    assert workflow.run_schedule(schedule.id).result(PATIENCE_S) == "0 7 29 2 *"


def test_it_says_nothing_that_its_user_did_not_ask_for(home: Site) -> None:
    said = home.processes[0].said()

    for noise in ("SecurityWarning", "superuser", "hostname", "celery", "Traceback"):
        assert noise not in said


def test_it_goes_on_where_it_was_whether_it_was_killed_or_told_to_stop(tmp_path: Path) -> None:
    with _home(tmp_path) as site, Stage(site.client, tmp_path) as stage:
        site.variables["ORCHESTRATOR_LEASE_MS"] = str(1000 * LONG_LEASE_S)
        first = site.dev()
        instance = stage.start("held")
        stage.ledger.wait("began", "first")

        first.kill()
        killed = time.monotonic()
        second = site.dev()
        until(lambda: second.pid in stage.ledger.pids("began"), "the step runs again")
        # A process that is gone from this machine holds nothing in its file, whatever its lease.
        assert time.monotonic() - killed < LONG_LEASE_S

        told = time.monotonic()
        second.send(signal.SIGTERM)
        assert second.wait() == 0
        # The parent that reloads gives its child a little longer before it kills it.
        assert time.monotonic() - told < SLOW_MACHINE_S
        third = site.dev()
        until(lambda: third.pid in stage.ledger.pids("began"), "the step runs once more")

        stage.open_gate()
        assert instance.result(PATIENCE_S) == ["first", "2"]
        # A crash is charged an attempt, and a step handed over is not.
        assert instance.describe().steps[0].attempts == 2
        idle = time.monotonic()
        third.send(signal.SIGTERM)
        assert third.wait() == 0
        assert time.monotonic() - idle < SLOW_MACHINE_S


def test_with_services_set_it_runs_on_them_and_workers_may_share_the_work(site: Site, own_stage: Stage) -> None:
    dev = site.dev()
    assert own_stage.start("chain", count=3).result(PATIENCE_S) == 3
    assert own_stage.start("flaky", count=1, wait_ms=50).result(PATIENCE_S) == 2
    assert not (site.folder / ".orchestrator" / "orchestrator.db").exists()

    worker = site.worker()
    instance = own_stage.start("fan", count=100, ms=50)

    assert instance.result(PATIENCE_S) == list(range(100))
    shares = {
        pid: len([line for line in own_stage.ledger.lines("ran") if line[-1] == str(pid)])
        for pid in (dev.pid, worker.pid)
    }
    assert min(shares.values()) > 0, shares


def _home(folder: Path) -> Site:
    site = Site(folder, f"sqlite:///{folder / '.orchestrator' / 'orchestrator.db'}", None)
    site.variables["DATABASE_URL"] = ""  # what it is by default
    return site


def _has(instance: Instance, step: str) -> bool:
    return any(view.name == step for view in instance.describe().steps)
