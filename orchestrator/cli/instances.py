"""`orchestrator instances`: the group, and its commands that only read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orchestrator.cli.command import client_command
from orchestrator.cli.completing import instance_ids
from orchestrator.cli.connection import connect, find_instance, find_workflow, workflow_argument
from orchestrator.cli.detail import show_detail
from orchestrator.cli.lazy import Entry, LazyGroup
from orchestrator.cli.output import Output, note, table
from orchestrator.cli.wording import STATUS, STATUS_STYLE, relative, status_words, took, trigger_words
from orchestrator.clock import SystemClock

if TYPE_CHECKING:
    from rich.console import RenderableType

COMMANDS = {
    "list": Entry("orchestrator.cli.instances:list_instances", "List the instances of a workflow, newest first."),
    "describe": Entry("orchestrator.cli.instances:describe", "Show one instance with its steps and attempts."),
    "pause": Entry("orchestrator.cli.actions:pause", "Pause instances; the steps that run finish first.", "Actions"),
    "resume": Entry("orchestrator.cli.actions:resume", "Resume paused instances.", "Actions"),
    "terminate": Entry("orchestrator.cli.actions:terminate", "End instances at once.", "Actions"),
    "restart": Entry(
        "orchestrator.cli.actions:restart", "Run instances again, from their beginning or a step.", "Actions"
    ),
    "delete": Entry("orchestrator.cli.deleting:delete", "Delete instances and their history.", "Actions"),
    "send-event": Entry("orchestrator.cli.actions:send_event", "Send an event to an instance.", "Actions"),
}


@click.group("instances", cls=LazyGroup, entries=COMMANDS)
def instances() -> None:
    """List, show and control instances. Where an ID is asked for, `latest` is the newest instance, and the first
    characters of an id will do (4 at least) if no other begins so.
    """


@client_command("list")
@workflow_argument
@click.option("--status", multiple=True, type=click.Choice(list(STATUS)), help="Only this status; may be repeated.")
@click.option("--limit", type=click.IntRange(1, 1000), default=25, show_default=True, help="At most so many.")
@click.option("--reverse", is_flag=True, help="Oldest first.")
def list_instances(ctx: click.Context, workflow: str, status: tuple[str, ...], limit: int, reverse: bool) -> None:
    """List the instances of the workflow NAME, newest first."""
    with connect(ctx) as client:
        found = find_workflow(ctx, client, workflow).list(
            status=list(status) or None, limit=limit, oldest_first=reverse
        )
    now_ms = SystemClock().now_ms()

    def show() -> RenderableType | None:
        if not found:
            note(f"No instances {'in this state ' if status else ''}yet. Start one: orchestrator trigger {workflow}")
            return None
        columns = ("Instance ID", "Status", "Created", "Modified", "Took", "Trigger")
        return table(
            columns,
            [
                (
                    view.id,
                    (status_words(view.status), STATUS_STYLE.get(view.status, "")),
                    relative(view.created_at, now_ms),
                    relative(view.modified_at, now_ms),
                    took(view.started_at, view.ended_at, now_ms),
                    trigger_words(view.trigger),
                )
                for view in found
            ],
        )

    output = Output.of(ctx)
    output.rows([view.to_dict() for view in found], ids=[view.id for view in found], show=show)
    if output.for_people and len(found) == limit:
        note(f"{limit} shown; see more with --limit {min(limit * 4, 1000)}.")


@client_command("describe")
@workflow_argument
@click.argument("instance_id", metavar="[ID]", default="latest", shell_complete=instance_ids)
@click.option("--watch", is_flag=True, help="Stay until the instance ends and show its steps live.")
@click.option("--step-output/--no-step-output", default=True, help="Show what the steps returned.")
@click.option(
    "--truncate-output-limit",
    type=click.IntRange(0),
    default=5000,
    show_default=True,
    metavar="N",
    help="Show at most so many characters of an output; 0 shows all.",
)
def describe(
    ctx: click.Context,
    workflow: str,
    instance_id: str,
    watch: bool,
    step_output: bool,
    truncate_output_limit: int,
) -> None:
    """Show the instance ID of the workflow NAME with its steps and attempts; without an ID, the newest."""
    with connect(ctx) as client:
        instance = find_instance(ctx, client, instance_id)
        if watch:
            from orchestrator.cli.progress import watch as follow

            follow(ctx, instance, None)
            return
        detail = instance.describe()
    now_ms = SystemClock().now_ms()
    Output.of(ctx).record(
        detail.to_dict(),
        id=detail.id,
        show=lambda: show_detail(detail, now_ms, step_output=step_output, limit=truncate_output_limit),
    )
