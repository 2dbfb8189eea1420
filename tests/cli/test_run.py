"""`orchestrator worker` and `orchestrator web`: what they hand to their rooms, and that they work on real services."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Orchestrator
from tests.cli.processes import ORCHESTRATOR, environment

APPLICATION = """
from orchestrator import WorkflowEntrypoint

class Greeting(WorkflowEntrypoint):
    async def run(self, event, step):
        return await step.do("greet", lambda: "hello")
"""


@pytest.fixture
def application() -> str:
    Path("greetings.py").write_text(APPLICATION)
    return "greetings.py"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the worker was asked to do, without one being started."""
    calls: list[dict[str, Any]] = []

    def run_worker(settings: Any, **options: Any) -> int:
        calls.append({"app": settings.app, **options})
        return 3

    monkeypatch.setattr("tasks.worker.run_worker", run_worker)
    monkeypatch.setenv("ORCHESTRATOR_APP", "")
    return calls


def test_a_worker_gets_its_options_and_its_exit_code_is_the_commands(
    asked: list[dict[str, Any]], orchestrator: Orchestrator
) -> None:
    result = orchestrator(
        "worker", "--app", "shop.flows", "--pool", "prefork", "-c", "3", "--processes", "2", "-Q", "a,b", "-Q", "c"
    )

    assert result.exit_code == 3
    assert asked == [
        {"app": "shop.flows", "pool": "prefork", "concurrency": 3, "processes": 2, "queues": ["a", "b", "c"]}
    ]


def test_a_worker_without_options_takes_the_settings(asked: list[dict[str, Any]], orchestrator: Orchestrator) -> None:
    orchestrator("worker", env={"ORCHESTRATOR_APP": "shop.flows", "ORCHESTRATOR_CONCURRENCY": "5"})
    orchestrator("worker", "--pool", "prefork", env={"ORCHESTRATOR_APP": "shop.flows"})

    assert asked[0] == {"app": "shop.flows", "pool": "threads", "concurrency": 5, "processes": 1, "queues": None}
    assert asked[1]["concurrency"] == os.cpu_count()


def test_a_worker_needs_an_application(asked: list[dict[str, Any]], orchestrator: Orchestrator) -> None:
    result = orchestrator("worker")

    assert result.exit_code == 2
    assert "--app" in result.stderr
    assert asked == []


def test_an_option_out_of_range_is_refused(asked: list[dict[str, Any]], orchestrator: Orchestrator) -> None:
    for option in (["--pool", "gevent"], ["-c", "0"], ["--processes", "0"]):
        assert orchestrator("worker", "--app", "shop.flows", *option).exit_code == 2

    assert asked == []


@contextmanager
def _running(*arguments: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    with Path("process.log").open("w") as log:
        process = subprocess.Popen([*ORCHESTRATOR, *arguments], stdout=log, stderr=log, env=environment(**variables))
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.mark.process
def test_a_worker_does_what_was_triggered_and_ends_when_told(
    application: str, postgres_url: str, valkey_url: str
) -> None:
    variables = {"DATABASE_URL": postgres_url, "REDIS_URL": valkey_url, "ORCHESTRATOR_APP": application}

    with _running("worker", "--concurrency", "4", **variables) as worker:
        done = subprocess.run(
            [*ORCHESTRATOR, "trigger", "greeting", "--wait", "--timeout", "30s"],
            capture_output=True,
            text=True,
            env=environment(**variables),
            check=False,
        )
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(30)

    assert done.returncode == 0, done.stderr + Path("process.log").read_text()
    assert json.loads(done.stdout) == "hello"
    assert code == 0


@pytest.mark.process
def test_the_web_command_serves_the_pages_and_ends_when_told(application: str, sqlite_url: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    with _running(
        "web", "--port", str(port), "--app", application, DATABASE_URL=sqlite_url, ORCHESTRATOR_AUTH="loopback"
    ) as server:
        page = _fetch(f"http://127.0.0.1:{port}/", server)
        server.send_signal(signal.SIGTERM)
        code = server.wait(30)

    assert "<html" in page
    assert code == 0


def _fetch(url: str, server: subprocess.Popen[bytes]) -> str:
    """The page, as soon as somebody answers."""
    while server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                text: str = answer.read().decode()
                return text
        except OSError:
            with pytest.raises(subprocess.TimeoutExpired):
                server.wait(0.1)
    raise AssertionError(Path("process.log").read_text())
