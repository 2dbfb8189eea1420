"""The process in which an application runs under `orchestrator dev`: a composition root that joins worker and pages."""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.banner import Started, banner, reloaded
from orchestrator.cli.command import report
from orchestrator.cli.configuration import settings_with, without_password
from orchestrator.cli.devfile import write_devfile
from orchestrator.cli.exits import APPLICATION_BROKEN, INTERRUPTED, OK
from orchestrator.cli.output import Output, is_terminal
from orchestrator.cli.reload import watched_directories
from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from orchestrator.authoring.registry import Registry


@dataclass(frozen=True, slots=True)
class Plan:
    """What `orchestrator dev` was asked for."""

    app: str
    host: str | None
    port: int | None
    open_pages: bool | None
    parent_fd: int | None
    """The reloading parent's pipe; None where there is no such parent."""
    generation: int

    @property
    def reloading(self) -> bool:
        return self.parent_fd is not None


def serve_here(ctx: click.Context, plan: Plan) -> int:
    """Run until SIGINT or SIGTERM; the exit code."""
    if plan.parent_fd is not None:
        _end_with_parent(plan.parent_fd)
    settings = settings_with(app=plan.app, host=plan.host, port=plan.port)
    registry = _load(ctx, plan)
    embedded: Any = import_module("tasks.embedded")
    web: Any = import_module("web")
    with embedded.Embedded(settings, registry) as service:
        app = web.create_app(service.client, registry=registry)
        with web.start(app, settings.host, settings.port) as server:
            watched = ", ".join(map(str, watched_directories(plan.app))) if plan.reloading else None
            _announce(ctx, Started(plan.app, server.url, settings, registry, watched), plan)
            # Only now, so that Ctrl-C cuts short whatever is still starting.
            code = StopFlag().wait(answer_ctrl_c=not plan.reloading)
    if service.left_behind:
        # Python would wait for the threads of bodies that can't be stopped; their steps are for the next start.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _load(ctx: click.Context, plan: Plan) -> Registry:
    from orchestrator.application import load_application

    try:
        return load_application(plan.app)
    except OrchestratorError as error:
        if not plan.reloading:
            raise
        report(ctx, error, for_people=True)  # beside the banner, whatever the format of the data
        ctx.exit(APPLICATION_BROKEN)


def _announce(ctx: click.Context, started: Started, plan: Plan) -> None:
    write_devfile(app=started.app, url=started.url, database=without_password(started.settings.database_url))
    first = plan.generation == 1
    click.echo(banner(started) if first else reloaded(started), err=True)
    # Last of all: a program that starts this one takes the line for "ready".
    Output.of(ctx).record(started.to_dict(), id=started.url, show=lambda: None)
    if first and (plan.open_pages or (plan.open_pages is None and _has_browser())):
        import webbrowser

        webbrowser.open(started.url)


def _has_browser() -> bool:
    """Whether somebody sits at this machine's screen. A browser that runs in the terminal would cover the banner."""
    screen = sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return screen and is_terminal(stderr=True) and not (os.environ.get("CI") or os.environ.get("SSH_CONNECTION"))


def _end_with_parent(fd: int) -> None:
    """A parent that was killed closes its end of the pipe: then this process stops as if it had been told to."""

    def watch() -> None:
        os.read(fd, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


class StopFlag:
    """Turns the signals that end a process into an event and an exit code."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._code = OK

    def wait(self, *, answer_ctrl_c: bool) -> int:
        signal.signal(signal.SIGTERM, self._arrived)
        if answer_ctrl_c:
            signal.signal(signal.SIGINT, self._arrived)
        self._stop.wait()
        return self._code

    def _arrived(self, number: int, frame: object) -> None:
        if self._stop.is_set():
            os._exit(INTERRUPTED)  # told twice: nothing is lost, the database has what was committed
        self._code = INTERRUPTED if number == signal.SIGINT else OK
        self._stop.set()
