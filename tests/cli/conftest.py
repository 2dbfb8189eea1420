"""The command line as a test runs it: in this process, in its own directory, over a client of the test's choice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli import root
from tests.cli.stub import StubClient

Orchestrator = Callable[..., Result]


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`.orchestrator/`, `.env` and app.py are looked for in the current directory: no test may meet another's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture
def client() -> StubClient:
    return StubClient()


@pytest.fixture
def orchestrator(client: StubClient) -> Orchestrator:
    """`orchestrator("list", "--json")`: the result of the command over the stub client."""

    def run(*args: str, **options: Any) -> Result:
        return CliRunner().invoke(root, args, obj=lambda: client, **options)

    return run
