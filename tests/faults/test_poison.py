"""A function that takes its worker with it, every time: the instance ends with an error that says so, others go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import InstanceErrored
from tests.processes.workers import PATIENCE_S, Process, Site, Stage, until

FAULTS = str(Path(__file__).with_name("app.py"))
DEATHS = 2


@pytest.fixture
def fleet(site: Site) -> Process:
    """Its parent replaces what dies."""
    return site.worker(
        "--processes", "2", beats=2, ORCHESTRATOR_APP=FAULTS, ORCHESTRATOR_MAX_DEATHS=str(DEATHS),
        ORCHESTRATOR_STALL_MS="1000",
    )  # fmt: skip


def test_a_function_that_ends_its_process_ends_its_instance_after_some_deaths(fleet: Process, stage: Stage) -> None:
    instance = stage.start("suicidal")

    with pytest.raises(InstanceErrored, match=f"{DEATHS} workers have died or got stuck one after another") as raised:
        instance.result(PATIENCE_S)

    assert raised.value.error is not None
    assert raised.value.error["name"] == "WorkerLostError"
    assert (stage.ledger.count("dies"), stage.ledger.count("ran", "first")) == (DEATHS, 1)
    assert stage.start("harmless", count=3).result(PATIENCE_S) == "done"


def test_a_function_that_never_comes_back_is_reported_and_its_process_recycled(fleet: Process, stage: Stage) -> None:
    endless = stage.start("endless")
    stage.ledger.wait("hangs")

    assert stage.start("harmless", count=20).result(PATIENCE_S) == "done", "others are worked on meanwhile"
    with pytest.raises(InstanceErrored, match="died or got stuck"):
        endless.result(PATIENCE_S)

    assert (stage.ledger.count("hangs"), stage.ledger.count("ran", "first")) == (DEATHS, 1)
    assert "without asking for anything" in fleet.said()
    until(lambda: fleet.said().count("starting another") >= DEATHS, "each process that lost a thread is replaced")
