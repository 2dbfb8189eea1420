"""`orchestrator listen` and `orchestrator rejected`: the way in through a queue; what is done is in `tasks.listen`."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.command import client_command, command
from orchestrator.cli.configuration import settings_with
from orchestrator.cli.connection import connect
from orchestrator.cli.output import Output, note, table
from orchestrator.cli.wording import relative
from orchestrator.clock import SystemClock
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType


@command("listen")
@click.option("--from", "url", metavar="URL", help="The broker [default: ORCHESTRATOR_LISTEN_URL, or Celery's].")
@click.option("--queue", metavar="QUEUE", help="[default: ORCHESTRATOR_LISTEN_QUEUE or orchestrator.inbox]")
def listen(ctx: click.Context, url: str | None, queue: str | None) -> None:
    """Start instances and send events as the messages of a queue ask for, until told to stop."""
    settings = settings_with()
    plan = {"process": "listen", "queue": queue or settings.listen_queue}
    Output.of(ctx).record(plan, id=str(os.getpid()), show=lambda: None)
    run_listener: Any = import_module("tasks.listen").run_listener
    ctx.exit(run_listener(settings, url=url, queue=queue))


@client_command("rejected")
@click.option(
    "--limit", type=click.IntRange(1, 100), default=25, show_default=True, metavar="N", help="At most so many."
)
@click.option("--retry", type=click.IntRange(0), metavar="ID", help="Carry this one out now instead.")
@click.option("--delete", type=click.IntRange(0), metavar="ID", help="Delete this one instead.")
def rejected(ctx: click.Context, limit: int, retry: int | None, delete: int | None) -> None:
    """List messages that could not be carried out, newest first, with the reason; or try one again, or delete it."""
    if retry is not None and delete is not None:
        raise UsageError("Give --retry or --delete, not both.")
    with connect(ctx) as client:
        if (chosen := retry if retry is not None else delete) is not None:
            (client.retry_message if retry is not None else client.delete_message)(chosen)
            done = "carried out" if retry is not None else "deleted"
            data = {"id": chosen, "result": done}
            Output.of(ctx).record(data, id=str(chosen), show=lambda: note(f"Message {chosen} was {done}."))
            return
        found = client.rejected_messages(limit=limit)
    now_ms = SystemClock().now_ms()

    def show() -> RenderableType | None:
        if not found:
            note("No message was rejected.")
            return None
        rows = [(str(row.id), row.message_id or "-", row.queue, relative(row.at, now_ms), row.reason) for row in found]
        return table(("Id", "Message", "Queue", "When", "Why"), rows)

    Output.of(ctx).rows([row.to_dict() for row in found], ids=[str(row.id) for row in found], show=show)
