"""`orchestrator dev`: everything in one process, and a parent that restarts it when the code changes."""

from __future__ import annotations

import click

from orchestrator.cli.command import command
from orchestrator.cli.configuration import find_app, settings_with, without_password
from orchestrator.cli.devfile import write_start
from orchestrator.cli.output import Output


@command("dev")
@click.argument("app", required=False, metavar="[APP]", envvar="ORCHESTRATOR_APP")
@click.option("--host", metavar="HOST", help="The address to listen on [default: ORCHESTRATOR_HOST or 127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65535), help="[default: ORCHESTRATOR_PORT or 8787; 0: a free one]")
@click.option("--reload/--no-reload", default=True, show_default=True, help="Restart when a Python file changes.")
@click.option(
    "--open/--no-open", "open_pages", default=None, help="Open the pages in a browser [default: if one is there]."
)
@click.option("--parent", "parent_fd", type=int, hidden=True, help="The reloading parent's pipe, which ends with it.")
@click.option("--generation", type=int, default=1, hidden=True, help="Which start this is.")
def dev(
    ctx: click.Context,
    app: str | None,
    host: str | None,
    port: int | None,
    reload: bool,
    open_pages: bool | None,
    parent_fd: int | None,
    generation: int,
) -> None:
    """Run the application APP on this machine: worker, pages and REST interface in one process.

    APP is app.py, path/app.py or package.module; without it ./app.py. Nothing else is needed: the data is in a SQLite
    file below .orchestrator/ unless DATABASE_URL and REDIS_URL name services.
    """
    spec = find_app(app)
    if generation == 1 and parent_fd is None:
        # Said at once, and not after the worker has been started and is stopped again.
        from orchestrator.cli.listening import check_address

        settings = settings_with(host=host, port=port)
        check_address(settings.host, settings.port)
        write_start(app=spec, database=without_password(settings.database_url))
    if reload and parent_fd is None:
        from orchestrator.cli.reload import supervise

        again = [spec, "--output", Output.of(ctx).format]
        again += ["--host", host] if host is not None else []
        again += ["--port", str(port)] if port is not None else []
        again += [] if open_pages is None else ["--open" if open_pages else "--no-open"]
        ctx.exit(supervise(spec, again))

    from orchestrator.cli.serving import Plan, serve_here

    ctx.exit(serve_here(ctx, Plan(spec, host, port, open_pages, parent_fd, generation)))
