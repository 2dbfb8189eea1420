"""`orchestrator list` and `orchestrator describe`: the workflows this database knows; it only reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orchestrator.cli.command import client_command
from orchestrator.cli.configure import settings_words
from orchestrator.cli.connection import connect, workflow_argument
from orchestrator.cli.output import Output, note, table
from orchestrator.cli.wording import relative, status_words, when
from orchestrator.clock import SystemClock

if TYPE_CHECKING:
    from rich.console import RenderableType

    from orchestrator.inspection import WorkflowView


@client_command("list")
def list_workflows(ctx: click.Context) -> None:
    """List the workflows, with how many instances each has."""
    output = Output.of(ctx)
    with connect(ctx) as client:
        found = client.workflows()
    now_ms = SystemClock().now_ms()

    def show() -> RenderableType | None:
        if not found:
            note("No workflows yet. Start an application: orchestrator dev app.py")
            return None
        columns = ("Name", "Class", "Module", "Instances", "Last triggered", "Created")
        rows = [
            (
                view.name,
                view.class_name,
                view.module,
                _counts(view),
                relative(view.triggered_at, now_ms),
                relative(view.created_at, now_ms),
            )
            for view in found
        ]
        return table(columns, rows)

    output.rows([view.to_dict() for view in found], ids=[view.name for view in found], show=show)


@client_command("describe")
@workflow_argument
def describe(ctx: click.Context, workflow: str) -> None:
    """Show one workflow: where its class is, and how many instances are in which state."""
    with connect(ctx) as client:
        view = client.workflow(workflow).describe()
    now_ms = SystemClock().now_ms()

    def show() -> RenderableType:
        facts = [
            ("Name", view.name),
            ("Class", f"{view.class_name} in {view.module}"),
            ("Queue", view.queue),
            ("Set to", settings_words(view)),
            ("Created", when(view.created_at, now_ms)),
            ("Seen by a worker", when(view.seen_at, now_ms)),
            ("Last triggered", when(view.triggered_at, now_ms)),
        ]
        counts = [(f"  {status_words(status)}", str(count)) for status, count in view.instances.items() if count]
        total = str(sum(view.instances.values()))
        return table(("", ""), [*facts, ("Instances", total), *counts])

    Output.of(ctx).record(view.to_dict(), id=view.name, show=show)


def _counts(view: WorkflowView) -> str:
    counted = [f"{count:,} {status}" for status, count in view.instances.items() if count]
    return ", ".join(counted) or "none"
