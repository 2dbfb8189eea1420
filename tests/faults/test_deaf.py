"""A consumer that has silently stalled: the process says that it is alive, and nothing that it should hear arrives."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.worker_signals import RECYCLED
from tests.processes.workers import PATIENCE_S, Site, Stage


@pytest.mark.parametrize("pool", ["threads", "prefork"])
@pytest.mark.parametrize("command", ["worker", "celery"])
def test_a_worker_that_hears_nothing_ends_so_that_another_is_started(
    site: Site, stage: Stage, tmp_path: Path, command: str, pool: str
) -> None:
    flag = tmp_path / "deaf"
    deaf = {"ORCHESTRATOR_APP": "tests.faults.deaf", "DEAF": str(flag), "ORCHESTRATOR_GRACE_MS": "100"}
    worker = getattr(site, command)("--pool", pool, "-c", "1", **deaf)
    assert stage.start("harmless", count=1).result(PATIENCE_S) == "done"

    flag.touch()
    instance = stage.start("harmless", count=2)

    assert worker.wait() == RECYCLED, "whatever restarts workers that fail must start another"
    assert "its consumer has stalled" in worker.said()
    flag.unlink()
    site.worker(**deaf)
    assert instance.result(PATIENCE_S) == "done"
