"""`orchestrator versions`, `graph` and `stats`: a workflow's code and its numbers; it only reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.command import client_command
from orchestrator.cli.completing import workflow_names
from orchestrator.cli.connection import connect, find_workflow, workflow_argument
from orchestrator.cli.graphs import mermaid, tree
from orchestrator.cli.output import Output, note, table, write
from orchestrator.cli.times import moment_ms
from orchestrator.cli.wording import absolute, relative
from orchestrator.clock import SystemClock
from orchestrator.durations import in_words
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from orchestrator.inspection import AggregateRow

GROUPS = ("hour", "day", "workflow", "step")


@client_command("versions")
@workflow_argument
def versions(ctx: click.Context, workflow: str) -> None:
    """List the versions of a workflow's code, the one that workers started with last first."""
    with connect(ctx) as client:
        found = find_workflow(ctx, client, workflow).versions()
    now_ms = SystemClock().now_ms()

    def show() -> RenderableType | None:
        if not found:
            note(f"No worker has registered {workflow} yet.")
            return None
        columns = ("Version", "Class", "Module", "Created", "Last started with", "Graph")
        rows = [
            (
                view.id, view.class_name, view.module, relative(view.created_at, now_ms),
                relative(view.seen_at, now_ms), "yes" if view.has_graph else "no",
            )
            for view in found
        ]  # fmt: skip
        return table(columns, rows)

    Output.of(ctx).rows([view.to_dict() for view in found], ids=[view.id for view in found], show=show)


@client_command("graph")
@workflow_argument
@click.option("--version", "version_id", metavar="ID", help="Of this version; without it, of the newest.")
@click.option(
    "--format", "form", type=click.Choice(["tree", "mermaid", "json"]), default="tree", show_default=True,
    help="tree: to read here. mermaid: to paste into a document.",
)  # fmt: skip
def graph(ctx: click.Context, workflow: str, version_id: str | None, form: str) -> None:
    """Show the shape of a workflow's code: its steps, sleeps and waits, with branches, loops and what runs at once."""
    with connect(ctx) as client:
        found = find_workflow(ctx, client, workflow).graph(version_id)
    output = Output.of(ctx)
    if form == "json" and output.for_people:
        output = Output("json")
    drawn = mermaid if form == "mermaid" else tree
    output.record(found, id=workflow, show=lambda: write("\n".join(drawn(found))))


@client_command("stats")
@click.argument("workflow", metavar="[NAME]", required=False, shell_complete=workflow_names)
@click.option(
    "--since", metavar="TIME", default="24h", show_default=True, help='A day, a time, or how long ago ("7d").'
)
@click.option("--until", metavar="TIME", default="now", show_default=True, help="A day means its end.")
@click.option("--by", "groups", multiple=True, type=click.Choice(GROUPS), help="Group by it; may be repeated.")
@click.option("--step", metavar="STEP", help="Of the steps of this name.")
def stats(
    ctx: click.Context, workflow: str | None, since: str, until: str, groups: tuple[str, ...], step: str | None
) -> None:
    """Show how often and how fast a workflow, or all, ran: runs by hour unless grouped otherwise."""
    now_ms = SystemClock().now_ms()
    start = moment_ms(since, now_ms, what="--since")
    end = moment_ms(until, now_ms, what="--until", end_of_day=True)
    if start > end:
        raise UsageError(f"--since ({since}) is after --until ({until}).")
    with connect(ctx) as client:
        of: Any = client if workflow is None else find_workflow(ctx, client, workflow)
        found = of.aggregates(start, end, group_by=groups or ("hour",), step=step)

    def show() -> RenderableType | None:
        if not found:
            note("Nothing ran in that time. What has just ended is counted within a minute or so.")
            return None
        return table(
            ("When", "Workflow", "Step", "Started", "Finished", "Attempts", "Mean", "p95", "p99"), map(_row, found)
        )

    Output.of(ctx).rows([row.to_dict() for row in found], ids=[row.workflow or row.kind for row in found], show=show)


def _row(row: AggregateRow) -> list[str]:
    finished = ", ".join(f"{count:,} {status}" for status, count in row.finished.items() if count)
    spent = row.wall_ms
    return [
        "—" if row.at is None else absolute(row.at)[:16],
        row.workflow or "—",
        row.step or "—",
        f"{row.started:,}",
        finished or "none",
        f"{row.attempts:,}",
        *("—" if ms is None else in_words(round(ms)) for ms in (spent.mean_ms, spent.p95_ms, spent.p99_ms)),
    ]
