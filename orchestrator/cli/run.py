"""`orchestrator worker` and `orchestrator web`: the processes of a deployment; what they do is in `tasks` and `web`."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import click

from orchestrator.cli.command import command
from orchestrator.cli.configuration import require_app, settings_with
from orchestrator.cli.connection import app_option
from orchestrator.cli.listening import check_address
from orchestrator.cli.output import Output


@command("worker")
@app_option
@click.option(
    "--pool",
    type=click.Choice(["threads", "prefork"]),
    default="threads",
    show_default=True,
    help="threads: for steps that wait for others. prefork: for steps that compute, or that must be killable.",
)
@click.option(
    "-c",
    "--concurrency",
    type=click.IntRange(1),
    metavar="N",
    help="Steps at a time in each process [default: 16 threads, or a child for each processor].",
)
@click.option(
    "--processes", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="Worker processes."
)
@click.option("-Q", "--queues", multiple=True, metavar="QUEUE", help="Only these queues; may be repeated or a,b.")
def worker(
    ctx: click.Context,
    app: str | None,
    pool: str,
    concurrency: int | None,
    processes: int,
    queues: tuple[str, ...],
) -> None:
    """Run workflows and their steps until told to stop; SIGTERM lets running steps finish."""
    settings = settings_with(app=require_app(app))
    wanted = [name.strip() for group in queues for name in group.split(",") if name.strip()]
    slots = concurrency or (settings.concurrency if pool == "threads" else os.cpu_count() or 1)
    plan = {"process": "worker", "app": settings.app, "pool": pool, "concurrency": slots, "processes": processes}
    Output.of(ctx).record({**plan, "queues": wanted or None}, id=str(os.getpid()), show=lambda: None)
    run_worker: Any = import_module("tasks.worker").run_worker
    ctx.exit(run_worker(settings, pool=pool, concurrency=slots, processes=processes, queues=wanted or None))


@command("web")
@click.option("--host", metavar="HOST", help="The address to listen on [default: ORCHESTRATOR_HOST or 127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65535), help="[default: ORCHESTRATOR_PORT or 8787]")
@app_option
def web(ctx: click.Context, host: str | None, port: int | None, app: str | None) -> None:
    """Serve the pages and the REST interface until told to stop."""
    settings = settings_with(app=app, host=host, port=port)
    check_address(settings.host, settings.port)
    plan = {"process": "web", "host": settings.host, "port": settings.port}
    Output.of(ctx).record(plan, id=str(os.getpid()), show=lambda: None)
    rooms: Any = import_module("web")

    def make_app() -> Any:
        # Called in the process that serves, as connections do not survive gunicorn's fork.
        from orchestrator.application import load_application
        from orchestrator.client import Client

        registry = load_application(settings.app) if settings.app else None
        return rooms.create_app(Client(settings), registry=registry, deployed=True)

    ctx.exit(rooms.serve(make_app, settings.host, settings.port, production=True) or 0)
