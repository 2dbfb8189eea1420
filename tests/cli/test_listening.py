"""An address that can't be listened on is said before anything is started."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Orchestrator


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize("arguments", [["dev", "app.py"], ["dev", "app.py", "--no-reload"], ["web"]], ids=" ".join)
def test_a_taken_port_is_4_with_another_to_try_and_nothing_is_started(
    arguments: list[str], taken: int, orchestrator: Orchestrator
) -> None:
    Path("app.py").write_text("raise SystemExit('it was started')\n")

    result = orchestrator(*arguments, "--port", str(taken))

    assert result.exit_code == 4
    assert result.stdout == ""
    assert f"Can't listen on 127.0.0.1 port {taken}" in result.stderr
    assert "--port" in result.stderr
    assert "it was started" not in result.stderr
    assert not Path(".orchestrator").exists()


@pytest.mark.parametrize("command", [["dev", "app.py"], ["web"]], ids=" ".join)
def test_an_address_others_can_reach_is_refused_at_once(command: list[str], orchestrator: Orchestrator) -> None:
    Path("app.py").write_text("raise SystemExit('it was started')\n")

    result = orchestrator(*command, "--host", "0.0.0.0", "--port", "0")

    assert result.exit_code == 2
    assert result.stdout == ""
