"""Starting real workers as processes, and looking at what they have done; it decides nothing about right and wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from orchestrator import Client, Instance, Settings
from orchestrator.errors import SetupError
from orchestrator.store import workers
from tests.cli.processes import ORCHESTRATOR, PYTHON, environment
from tests.service_process import command

APP = Path(__file__).with_name("app.py")
PATIENCE_S = 100.0
"""For whatever must come sooner or later, on a machine that has much else to do."""
TEST_S = 400.0
"""For a whole test of processes, which waits several times: what does not come is to be said by who waited for it."""
QUICK_DEATH = {"ORCHESTRATOR_LEASE_MS": "1500", "ORCHESTRATOR_HEARTBEAT_MS": "300", "ORCHESTRATOR_PUMP_MS": "200"}
"""How a test that kills workers wants them: missed soon."""


def until(condition: Callable[[], Any], what: str | Callable[[], str], within_s: float = PATIENCE_S) -> Any:
    """Look again and again until it is so; what `condition` returned then."""
    give_up_at = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < give_up_at, f"not within {within_s:g} s: {what if isinstance(what, str) else what()}"
        time.sleep(0.005)
    return found


class Ledger:
    """What bodies have written down: words, and the process that wrote them, for each line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self, *begins: object) -> list[list[str]]:
        """The lines that begin with these words."""
        if not self.path.exists():
            return []
        words = [line.split() for line in self.path.read_text().splitlines()]
        wanted = [str(word) for word in begins]
        return [line for line in words if line[: len(wanted)] == wanted]

    def count(self, *begins: object) -> int:
        return len(self.lines(*begins))

    def pids(self, *begins: object) -> set[int]:
        return {int(line[-1]) for line in self.lines(*begins)}

    def wait(self, *begins: object, times: int = 1, within_s: float = PATIENCE_S) -> None:
        until(lambda: self.count(*begins) >= times, lambda: f"{times} x {begins} among {self.lines()}", within_s)


class Process:
    """A process of ours with a log of its own. It does not outlive the tests."""

    def __init__(self, arguments: list[str], log: Path, folder: Path, variables: dict[str, str]) -> None:
        self.log = log
        self._log = log.open("wb")
        self._process = subprocess.Popen(
            command(*arguments, user=None, end_signal=signal.SIGKILL),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment(PYTHONUNBUFFERED="1", **variables),
            start_new_session=True,
        )
        self.pid = self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, within_s: float = PATIENCE_S) -> int:
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the process did not end within {within_s:g} s:\n{self.said()}") from None

    def kill(self) -> None:
        """End it and all its children the way a crash does."""
        if not self.ended:
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        # The children too, which may live on after a parent that has ended or was killed.
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        self._log.close()


@dataclass
class Site:
    """A database and a broker, a client of both in this process, and the workers that a test starts there."""

    folder: Path
    database_url: str
    redis_url: str | None
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.processes: list[Process] = []
        self.client = Client(Settings(database_url=self.database_url, redis_url=self.redis_url))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.close()
            print(f"--- {process.log.name}\n{process.said()[-8000:]}")
        self.client.close()

    def environment(self, **variables: str) -> dict[str, str]:
        urls = {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url or ""}
        return {**urls, "ORCHESTRATOR_APP": str(APP), **self.variables, **variables}

    def run(self, *arguments: str, **variables: str) -> Process:
        """Start a process and do not wait for anything."""
        log = self.folder / f"process-{len(self.processes)}.log"
        process = Process(list(arguments), log, self.folder, self.environment(**variables))
        self.processes.append(process)
        return process

    def worker(self, *options: str, beats: int = 1, **variables: str) -> Process:
        """`orchestrator worker` with these options, once it takes work and all its heartbeats have been seen."""
        ready = beats if "--processes" in options else 1
        return self._beating(beats, ready, lambda: self.run(*ORCHESTRATOR, "worker", *options, **variables))

    def celery(self, *options: str, beats: int = 1, **variables: str) -> Process:
        """`celery -A tasks worker` with these options."""
        start = [PYTHON, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "INFO"]
        return self._beating(beats, 1, lambda: self.run(*start, *options, **variables))

    def dev(self, *options: str, **variables: str) -> Process:
        """`orchestrator dev` in the site's folder, once it shows its banner."""
        start = [*ORCHESTRATOR, "dev", str(APP), "--no-reload", "--no-open", "--port", "0"]
        return self._beating(1, 1, lambda: self.run(*start, *options, **variables), says="http://")

    def _beating(self, beats: int, ready: int, start: Callable[[], Process], says: str = " ready.") -> Process:
        before = set(self.beating())
        process = start()

        def has_come() -> bool:
            assert not process.ended, f"it ended with {process.wait()}:\n{process.said()}"
            return len(set(self.beating()) - before) >= beats and process.said().count(says) >= ready

        until(has_come, lambda: f"{beats} new heartbeats:\n{process.said()}")
        return process

    def beating(self) -> list[str]:
        """The workers with a heartbeat row; none where there is no database yet."""
        try:
            self.client.desk.database.check_reachable()
        except SetupError:
            return []
        with self.client.desk.database.read() as connection:
            return [row.id for row in workers.all_(connection)]


@dataclass
class Stage:
    """One test's: where its instances run, and the files by which it talks with their bodies."""

    client: Client
    folder: Path

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.folder / "ledger")
        self.gate = self.folder / "gate"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.open_gate()  # a failed test must leave no body behind that waits for it

    def start(self, workflow: str, **plan: Any) -> Instance:
        return self.client.workflow(workflow).create(self.plan(**plan))

    def plan(self, **plan: Any) -> dict[str, Any]:
        return {"ledger": str(self.ledger.path), "gate": str(self.gate), **plan}

    def open_gate(self) -> None:
        self.gate.touch()


def reaches(instance: Instance, status: str, within_s: float = PATIENCE_S) -> None:
    until(lambda: instance.status().status == status, lambda: f"{status}: {instance.describe()}", within_s)


def shown_running(instance: Instance, name: str) -> None:
    def is_running() -> bool:
        return any(step.name == name and step.status == "running" for step in instance.describe().steps)

    until(is_running, lambda: f"{name} is shown as running: {instance.describe()}")
