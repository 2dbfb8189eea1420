"""A process that works on instances collects garbage rarely, and as before when it has stopped working."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

from tasks.garbage import THRESHOLDS, collect_rarely
from tests.checkout import ROOT

EMBEDDED = f"""
import gc
from orchestrator import Settings
from orchestrator.authoring.registry import Registry
from tasks.embedded import Embedded

def now():
    return gc.get_threshold(), gc.get_freeze_count() > 0

before = now()
with Embedded(Settings(database_url="sqlite:///garbage.db"), Registry([])):
    assert now() == ({THRESHOLDS}, True), now()
assert now() == before and not before[1], now()
"""


def test_an_embedded_service_leaves_the_collector_as_it_was(tmp_path: Path) -> None:
    command = [sys.executable, "-c", EMBEDDED]
    ended = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_what_somebody_else_has_frozen_stays_frozen() -> None:
    before = gc.get_threshold()
    gc.freeze()
    try:
        undo = collect_rarely()
        assert gc.get_threshold() == THRESHOLDS
        undo()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold() == before
    finally:
        gc.unfreeze()
