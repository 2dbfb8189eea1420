"""Workers that are killed, told to stop, or end in the middle of a body: others go on, soon, and nothing runs for ever."""

from __future__ import annotations

import itertools
import os
import signal
import time
from dataclasses import dataclass

import pytest

from orchestrator import Instance
from orchestrator.errors import InstanceErrored
from tests.processes.workers import PATIENCE_S, QUICK_DEATH, Process, Site, Stage, shown_running, until

SLOW_MACHINE_S = 30.0
LEASE_AND_PUMP_S = 1.5 + 0.3 + 0.2
GRACE_S = 5.0
"""How long a worker that is told to stop lets its bodies go on."""


@dataclass
class Held:
    """An instance whose first step waits for the gate, the worker that runs it, and another one."""

    instance: Instance
    holder: Process
    other: Process
    stage: Stage

    def begins_elsewhere(self) -> None:
        until(lambda: self.other.pid in self.stage.ledger.pids("began"), "the step begins in the other worker")

    def ends_well(self) -> None:
        self.stage.open_gate()
        assert self.instance.result(PATIENCE_S) == ["first", "2"]


@pytest.fixture
def pair(lasting_site: Site) -> list[Process]:
    """Two workers that are soon missed, started anew in the place of those that the tests before have ended."""
    lasting_site.variables.update(QUICK_DEATH)
    while len(alive := [process for process in lasting_site.processes if not process.ended]) < 2:
        lasting_site.worker()
    return alive


@pytest.fixture(params=[False, True], ids=["def", "async"])
def held(request: pytest.FixtureRequest, pair: list[Process], lasting_stage: Stage) -> Held:
    instance = lasting_stage.start("held", asynchronous=request.param)
    lasting_stage.ledger.wait("began", "first")
    (pid,) = lasting_stage.ledger.pids("began")
    holder, other = sorted(pair, key=lambda process: process.pid != pid)
    assert holder.pid == pid
    return Held(instance, holder, other, lasting_stage)


def test_a_killed_workers_step_is_run_by_another_within_the_lease(held: Held) -> None:
    held.holder.kill()
    killed = time.monotonic()

    held.begins_elsewhere()

    # Not a lease of the broker's, and with no operator.
    assert time.monotonic() - killed < LEASE_AND_PUMP_S + SLOW_MACHINE_S
    held.ends_well()
    (first, _) = held.instance.describe().steps
    assert [attempt.status for attempt in first.attempt_log] == ["errored", "complete"]
    assert first.attempt_log[0].error is not None
    assert first.attempt_log[0].error["name"] == "WorkerLostError"


def test_a_worker_killed_during_a_long_step_loses_only_that_attempt(held: Held) -> None:
    shown_running(held.instance, "first")

    held.holder.kill()

    held.begins_elsewhere()
    held.ends_well()
    assert held.stage.ledger.count("began") == 2


def test_a_worker_told_to_stop_does_not_wait_for_a_step_that_goes_on(held: Held) -> None:
    told = time.monotonic()

    held.holder.send(signal.SIGTERM)

    assert held.holder.wait() == 0
    held.begins_elsewhere()
    # Neither its lease nor the ten minutes that the step may take.
    assert time.monotonic() - told < GRACE_S + 2 * SLOW_MACHINE_S
    held.ends_well()
    attempts = held.instance.describe().steps[0].attempt_log
    assert [attempt.status for attempt in attempts] == ["complete"], "a step handed over is charged no attempt"


def test_a_worker_told_to_stop_ends_its_step_and_leaves_the_next_to_others(
    pair: list[Process], lasting_site: Site, lasting_stage: Stage
) -> None:
    instance = lasting_stage.start("chain", count=60, ms=20)
    lasting_stage.ledger.wait("ran", times=10)
    (pid,) = lasting_stage.ledger.pids("ran")
    (worker,) = [process for process in pair if process.pid == pid]

    worker.send(signal.SIGTERM)

    assert instance.result(PATIENCE_S) == sum(range(60))
    assert lasting_stage.ledger.count("ran") == 60, "the step that ran was not cut short"
    assert len(lasting_stage.ledger.pids("ran")) == 2
    assert worker.wait() == 0
    assert not any(f":{pid}:" in beat for beat in lasting_site.beating())
    begins = [step.started_at for step in instance.describe().steps if step.started_at is not None]
    # Handed over at once: neither the lease nor the pump's patience with a lost message.
    assert max(after - before for before, after in itertools.pairwise(begins)) < 1000 + 1000 * SLOW_MACHINE_S


def test_finished_steps_of_a_killed_worker_do_not_run_again(site: Site, own_stage: Stage) -> None:
    site.variables.update(QUICK_DEATH)
    victim = site.worker("--concurrency", "2")
    instance = own_stage.start("chain", count=60, ms=20)
    own_stage.ledger.wait("ran", times=20)

    victim.kill()
    # Nobody is there now; and the one who comes was not there when the instance was made.
    site.worker()

    assert instance.result(PATIENCE_S) == sum(range(60))
    # Only the one that was in the middle of things.
    assert own_stage.ledger.count("ran") <= 61


def test_prefork_told_to_stop_hands_over_too(site: Site, own_stage: Stage) -> None:
    stopping = site.worker("--pool", "prefork", "--concurrency", "2", beats=2)
    instance = own_stage.start("held")
    own_stage.ledger.wait("began", "first")
    other = site.worker()
    told = time.monotonic()

    stopping.send(signal.SIGTERM)

    assert stopping.wait() == 0
    until(lambda: other.pid in own_stage.ledger.pids("began"), "the step begins in the other worker")
    assert time.monotonic() - told < GRACE_S + 2 * SLOW_MACHINE_S
    own_stage.open_gate()
    assert instance.result(PATIENCE_S) == ["first", "2"]
    other.send(signal.SIGTERM)
    idle = time.monotonic()
    assert other.wait() == 0
    assert time.monotonic() - idle < SLOW_MACHINE_S
    assert site.beating() == []


def test_a_fleet_replaces_a_process_that_dies_and_frees_what_it_held_at_once(site: Site, own_stage: Stage) -> None:
    fleet = site.worker("--processes", "2", beats=2, ORCHESTRATOR_LEASE_MS="600000")
    instance = own_stage.start("held")
    own_stage.ledger.wait("began", "first")
    (victim,) = own_stage.ledger.pids("began")
    killed = time.monotonic()

    os.kill(victim, signal.SIGKILL)
    own_stage.ledger.wait("began", "first", times=2)

    # The lease of these workers is ten minutes.
    assert time.monotonic() - killed < 2 * SLOW_MACHINE_S
    own_stage.open_gate()
    assert instance.result(PATIENCE_S) == ["first", "2"]
    until(lambda: fleet.said().count(" ready.") == 3, "another in the place of the one that died")

    # And if it is the parent that dies, its processes end with it.
    fleet.send(signal.SIGKILL)
    until(lambda: site.beating() == [], "nobody is left")


@pytest.mark.parametrize(
    ("pool", "killed"),
    [(("--processes", "2"), False), (("--pool", "prefork", "-c", "2"), True)],
    ids=["fleet-exits", "prefork-killed"],
)
def test_a_body_that_ends_its_process_uses_up_its_attempts(
    site: Site, own_stage: Stage, pool: tuple[str, ...], killed: bool
) -> None:
    site.variables.update(QUICK_DEATH)
    worker = site.worker(*pool, beats=2)
    instance = own_stage.start("fatal", asynchronous=killed)

    with pytest.raises(InstanceErrored) as raised:
        instance.result(PATIENCE_S)

    assert raised.value.error is not None
    assert raised.value.error["name"] == "WorkerLostError"
    assert own_stage.ledger.count("fatal") == 2
    # Others go on.
    assert own_stage.start("chain", count=3).result(PATIENCE_S) == 3
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
