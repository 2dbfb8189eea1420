"""One process that an engine needs, ended with the turn and with whoever started it; what it said is kept to be shown."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.service_process import command as tied

STOP_S = 20.0
_LOG_TAIL = 3000


class ChildFailed(Exception):
    """A process that an engine needs did not start or did not stay. The message ends with what it said."""


class Child:
    def __init__(self, name: str, command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> None:
        self._name = name
        self._command = list(command)
        self._directory = directory
        self._environment = dict(environment)
        self._log = directory / f"{name}.log"
        self._process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                tied(*self._command, user=None, end_signal=signal.SIGTERM),
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def check(self, still_patient: bool) -> None:
        """While one waits for it to be ready. Raises ChildFailed if it has ended, or if patience has."""
        code = self._process.poll()
        if code is None and still_patient:
            return
        how = "is not ready" if code is None else f"ended with {code}"
        raise ChildFailed(f"{self._name} {how}:\n{self.said()}")

    def said(self) -> str:
        return self._log.read_text(errors="replace")[-_LOG_TAIL:]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
