"""The parent of `orchestrator dev`: watches the code and restarts the child; it must never import the application."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import FrameType, TracebackType

from orchestrator.cli.configuration import files_of
from orchestrator.cli.exits import APPLICATION_BROKEN, INTERRUPTED, OK
from orchestrator.cli.output import note

RELOAD_GRACE_S, STOP_GRACE_S = 5.0, 15.0
"""How long a child may take to stop. A step cut short runs again in the next child: nothing is lost."""
_SILENT_S = 1.0
_POLL_MS = 200
_IGNORED = ("__pycache__", "venv", "env", "site-packages", "node_modules")
# The child takes over the parent's path as it is: `-m` would put the directory first, where a user's own tasks.py or
# web.py would hide ours. Ctrl-C reaches both processes of a terminal; only the parent answers it.
_CHILD = (
    "import json, signal, sys; signal.signal(signal.SIGINT, lambda *_: None); "
    "sys.path[:] = json.loads(sys.argv.pop(1)); from orchestrator.cli import main; main()"
)


class Child:
    """One run of the application in a process of its own, which ends by itself if this one is killed."""

    def __init__(self, arguments: list[str], generation: int) -> None:
        told, self._alive = os.pipe()
        path = json.dumps([entry for entry in sys.path if entry])
        command = [sys.executable, "-P", "-c", _CHILD, path, "dev", *arguments]
        command += ["--parent", str(told), "--generation", str(generation)]
        try:
            self._process = subprocess.Popen(command, pass_fds=(told,))
        finally:
            os.close(told)

    def exit_code(self) -> int | None:
        return self._process.poll()

    def kill(self) -> None:
        self._process.kill()

    def stop(self, grace_s: float, meanwhile: str) -> None:
        """Ask, wait, insist; what is said meanwhile is said only if it takes long."""
        if self._process.poll() is None:
            self._process.terminate()
        if not self._ends_within(_SILENT_S):
            note(meanwhile)
            if not self._ends_within(grace_s - _SILENT_S):
                note(f"It did not stop within {grace_s:g} s, so it is killed; steps cut short will run again.")
                self._process.kill()
                self._process.wait()
        os.close(self._alive)

    def _ends_within(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


class StopSignals:
    """SIGINT and SIGTERM as an event; the second one kills the child at once. For the last thing a process does."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.child: Child | None = None
        self.exit_code = OK

    def __enter__(self) -> StopSignals:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._arrived)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # The process ends now: a late Ctrl-C must change neither its exit code nor its silence.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if self.stop.is_set() and self.child is not None:
            self.child.kill()
        self.exit_code = INTERRUPTED if number == signal.SIGINT else OK
        self.stop.set()


def supervise(spec: str, arguments: list[str]) -> int:
    """Run the child until told to stop, with the newest code; the exit code."""
    from watchfiles import watch

    roots = watched_directories(spec)
    with StopSignals() as signals:
        generation = 1
        child = signals.child = Child(arguments, generation)
        running = True
        changes_seen = watch(
            *roots,
            watch_filter=code_filter(roots),
            stop_event=signals.stop,
            rust_timeout=_POLL_MS,
            yield_on_timeout=True,
            debounce=400,
            raise_interrupt=False,
        )
        for changes in changes_seen:
            if changes:
                note(f"\n♻ {_named(path for _, path in changes)} changed")
                child.stop(RELOAD_GRACE_S, "Waiting for steps that run …")
                generation += 1
                child = signals.child = Child(arguments, generation)
                running = True
            elif running and (code := child.exit_code()) is not None:
                running = False
                if not mended_by_an_edit(code):
                    return code
                note(f"Waiting for a change of the code in {', '.join(map(str, roots))} …")
        child.stop(STOP_GRACE_S, "Stopping; steps that run may finish. Ctrl-C again stops at once.")
        return signals.exit_code


def mended_by_an_edit(code: int) -> bool:
    """Whether other code may help a child that ended so: the application is broken, or it killed its process."""
    return code == APPLICATION_BROKEN or code < 0


def watched_directories(app: str) -> list[Path]:
    """Where the application's code is: its files' directories, or the current one for a module's name."""
    return sorted({file.resolve().parent for file in files_of(app)}) or [Path.cwd()]


def code_filter(roots: Sequence[Path]) -> Callable[[object, str], bool]:
    """Whether a changed file can change what the application does."""

    def is_code(change: object, path: str) -> bool:
        file = Path(path)
        root = next((root for root in roots if file.is_relative_to(root)), file.parent)
        folders = file.relative_to(root).parts[:-1]
        if any(folder in _IGNORED or folder.startswith(".") for folder in folders):
            return False
        return file.suffix == ".py" or file.name == ".env"

    return is_code


def _named(paths: Iterable[str]) -> str:
    names = sorted({Path(path).name for path in paths})
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
