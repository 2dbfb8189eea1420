"""What every example's test needs: a directory of its own and the embedded service; nothing here is faked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.authoring.registry import Registry
from orchestrator.client import Client
from orchestrator.settings import Settings
from tasks.embedded import Embedded

Start = Callable[[type[WorkflowEntrypoint[Any]]], Client]

RESULT_SECONDS = 30


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The examples keep their files below the current directory."""
    monkeypatch.delenv("PAYMENT_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def start(sqlite_url: str) -> Iterator[Start]:
    """Starts the embedded service for one workflow; it stops with the test."""
    with ExitStack() as running:

        def embedded(workflow: type[WorkflowEntrypoint[Any]]) -> Client:
            settings = Settings(database_url=sqlite_url)
            return running.enter_context(Embedded(settings, Registry([workflow]))).client

        yield embedded
