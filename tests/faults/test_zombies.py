"""A worker that stands still until it was taken for dead, and then goes on: it changes nothing, and says why."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from sqlalchemy import text

from tests.processes.workers import PATIENCE_S, Process, Site, Stage, shown_running, until

TABLES = ("instances", "steps", "attempts", "timers", "events", "runs")


def everything(site: Site) -> dict[str, list[Any]]:
    with site.client.desk.database.read() as connection:
        return {
            table: connection.execute(text(f"SELECT * FROM orchestrator_{table} ORDER BY 1, 2, 3")).all()
            for table in TABLES
        }


def stands_still_and_is_replaced(worker: Process, site: Site, stage: Stage, instance: Any) -> dict[str, list[Any]]:
    """Freeze it, let another end the instance, wake it again; what stood in the tables before it woke."""
    worker.send(signal.SIGSTOP)
    other = site.worker()
    until(lambda: other.pid in stage.ledger.pids("began", "first"), "the step begins in the other worker")
    stage.open_gate()
    assert instance.result(PATIENCE_S) == ["first", "2"]
    other.send(signal.SIGTERM)
    assert other.wait() == 0
    before = everything(site)
    worker.send(signal.SIGCONT)
    until(lambda: stage.ledger.count("ended", "first") == 2, "the body of the frozen worker ends, too")
    return before


@pytest.mark.parametrize("asynchronous", [False, True], ids=["def", "async"])
def test_a_zombie_with_a_claim_can_not_commit(site: Site, stage: Stage, asynchronous: bool) -> None:
    zombie = site.worker(ORCHESTRATOR_MOMENT_MS="60000")  # the body stays in place, under the claim
    instance = stage.start("held", asynchronous=asynchronous)
    stage.ledger.wait("began", "first")

    before = stands_still_and_is_replaced(zombie, site, stage, instance)

    until(lambda: "was taken over or ended meanwhile" in zombie.said(), "the zombie says why it stops")
    assert everything(site) == before
    assert stage.ledger.count("ran", "2") == 1


def test_a_zombie_with_a_row_of_its_own_can_not_commit(site: Site, stage: Stage) -> None:
    zombie = site.worker(ORCHESTRATOR_MOMENT_MS="200")
    instance = stage.start("held")
    shown_running(instance, "first")

    before = stands_still_and_is_replaced(zombie, site, stage, instance)

    until(lambda: "has ended meanwhile" in zombie.said(), "the zombie says why it drops a result")
    assert everything(site) == before


def test_a_zombie_goes_back_to_work_when_it_has_found_out(site: Site, stage: Stage) -> None:
    zombie = site.worker(ORCHESTRATOR_MOMENT_MS="60000")
    instance = stage.start("held")
    stage.ledger.wait("began", "first")
    stands_still_and_is_replaced(zombie, site, stage, instance)

    assert stage.start("chain", count=3).result(PATIENCE_S) == 3
    assert stage.ledger.pids("ran", "0") == {zombie.pid}
