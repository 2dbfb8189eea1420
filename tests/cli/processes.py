"""Starting the command line as a process of its own, from whatever directory a test is in; it asserts nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import orchestrator

PYTHON = sys.executable
ORCHESTRATOR = [sys.executable, "-m", "orchestrator.cli"]


def environment(**variables: str) -> dict[str, str]:
    """This process's, with the checkout on the path of the new one, and its own directory not in front of it."""
    place = str(Path(orchestrator.__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": place, "PYTHONSAFEPATH": "1", **variables}
