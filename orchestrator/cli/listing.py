"""`orchestrator instances list`: one page of instances, in as many columns as were asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.command import client_command
from orchestrator.cli.completing import workflow_names
from orchestrator.cli.connection import connect, find_workflow
from orchestrator.cli.output import Output, note, table
from orchestrator.cli.times import moment_ms
from orchestrator.cli.wording import (
    STATUS,
    STATUS_STYLE,
    absolute,
    one_line,
    relative,
    status_words,
    took,
    trigger_words,
)
from orchestrator.clock import SystemClock
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from orchestrator.inspection import InstanceView

MAX_LIMIT = 1000


@client_command("list")
@click.argument("workflow", metavar="[NAME]", required=False, shell_complete=workflow_names)
@click.option("--all", "all_workflows", is_flag=True, help="Of all workflows; then without NAME.")
@click.option("--status", multiple=True, type=click.Choice(list(STATUS)), help="Only this status; may be repeated.")
@click.option(
    "--date-start", metavar="TIME", help='Created then or later: "2026-11-22", "2026-11-22T09:00Z", "24h" ago.'
)
@click.option("--date-end", metavar="TIME", help="Created then or earlier; a day means its end.")
@click.option("--limit", type=click.IntRange(1, MAX_LIMIT), default=25, show_default=True, help="At most so many.")
@click.option("--cursor", type=click.IntRange(0), metavar="N", help="Go on after this; a full page says what to give.")
@click.option("--reverse", is_flag=True, help="Oldest first.")
def list_instances(
    ctx: click.Context,
    workflow: str | None,
    all_workflows: bool,
    status: tuple[str, ...],
    date_start: str | None,
    date_end: str | None,
    limit: int,
    cursor: int | None,
    reverse: bool,
) -> None:
    """List the instances of the workflow NAME, newest first, or with --all those of all workflows.

    `-o wide` shows more of each.
    """
    if (workflow is None) == (not all_workflows):
        raise UsageError("Give either the NAME of a workflow, or --all for the instances of all workflows.")
    now_ms = SystemClock().now_ms()
    asked: dict[str, Any] = {
        "status": list(status) or None,
        "limit": limit,
        "before": cursor,
        "oldest_first": reverse,
        "since": None if date_start is None else moment_ms(date_start, now_ms, what="--date-start"),
        "until": None if date_end is None else moment_ms(date_end, now_ms, what="--date-end", end_of_day=True),
    }
    given = {name: value for name, value in asked.items() if value not in (None, False)}
    with connect(ctx) as client:
        found = client.instances(**given) if workflow is None else find_workflow(ctx, client, workflow).list(**given)
    output = Output.of(ctx)

    def show() -> RenderableType | None:
        if found:
            return _drawn(found, now_ms, wide=output.wide, of_all=all_workflows)
        narrowed = any(name not in ("limit", "oldest_first") for name in given)
        note(f"No instances {'like that' if narrowed else 'yet'}. Start one: orchestrator trigger {workflow or 'NAME'}")
        return None

    output.rows([view.to_dict() for view in found], ids=[view.id for view in found], show=show)
    if output.for_people and len(found) == limit:
        note(
            f"{limit} shown. The next ones: --cursor {found[-1].cursor}, or more at once: --limit {min(limit * 4, MAX_LIMIT)}"
        )


def _drawn(found: Sequence[InstanceView], now_ms: int, *, wide: bool, of_all: bool) -> RenderableType:
    columns = [*(["Workflow"] if of_all else []), "Instance ID", "Status", "Created", "Modified"]
    columns += ["Took", "Run", "Trigger", "Started", "Ended"] if wide else []
    return table(columns, [_row(view, now_ms, wide=wide, of_all=of_all) for view in found])


def _row(view: InstanceView, now_ms: int, *, wide: bool, of_all: bool) -> list[str | tuple[str, str]]:
    row: list[str | tuple[str, str]] = [view.workflow] if of_all else []
    row += [
        one_line(view.id),
        (status_words(view.status), STATUS_STYLE.get(view.status, "")),
        relative(view.created_at, now_ms),
        relative(view.modified_at, now_ms),
    ]
    if wide:
        row += [
            took(view.started_at, view.ended_at, now_ms),
            str(view.run),
            trigger_words(view.trigger),
            "—" if view.started_at is None else absolute(view.started_at),
            "—" if view.ended_at is None else absolute(view.ended_at),
        ]
    return row
