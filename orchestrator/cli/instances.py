"""`orchestrator instances`: the group, and its commands that only read."""

from __future__ import annotations

import click

from orchestrator.cli.command import client_command
from orchestrator.cli.completing import instance_ids
from orchestrator.cli.connection import connect, find_instance, workflow_argument
from orchestrator.cli.detail import show_detail
from orchestrator.cli.lazy import Entry, LazyGroup
from orchestrator.cli.output import Output
from orchestrator.clock import SystemClock
from orchestrator.errors import UsageError

COMMANDS = {
    "list": Entry("orchestrator.cli.listing:list_instances", "List the instances of a workflow, or of all."),
    "describe": Entry("orchestrator.cli.instances:describe", "Show one instance with its steps and attempts."),
    "step": Entry("orchestrator.cli.stepping:step", "Write the whole output of one step."),
    "runs": Entry("orchestrator.cli.history:runs", "List the runs of an instance, before and after each restart."),
    "subscribe": Entry("orchestrator.cli.history:subscribe", "Write the events of an instance as they happen."),
    "wait": Entry("orchestrator.cli.waiting:wait", "Stay until an instance ends; the exit code tells how."),
    "pause": Entry("orchestrator.cli.actions:pause", "Pause instances; the steps that run finish first.", "Actions"),
    "resume": Entry("orchestrator.cli.actions:resume", "Resume paused instances.", "Actions"),
    "terminate": Entry("orchestrator.cli.actions:terminate", "End instances at once.", "Actions"),
    "restart": Entry(
        "orchestrator.cli.actions:restart", "Run instances again, from their beginning or a step.", "Actions"
    ),
    "delete": Entry("orchestrator.cli.deleting:delete", "Delete instances and their history.", "Actions"),
    "terminate-all": Entry("orchestrator.cli.bulk:terminate_all", "End all instances of a workflow.", "Actions"),
    "send-event": Entry("orchestrator.cli.actions:send_event", "Send an event to an instance.", "Actions"),
}


@click.group("instances", cls=LazyGroup, entries=COMMANDS)
def instances() -> None:
    """List, show and control instances. Where an ID is asked for, `latest` is the newest instance, and the first
    characters of an id will do (4 at least) if no other begins so.
    """


@client_command("describe")
@workflow_argument
@click.argument("instance_id", metavar="[ID]", default="latest", shell_complete=instance_ids)
@click.option("--run", type=click.IntRange(1), metavar="N", help="Show an earlier run; see `instances runs`.")
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
    run: int | None,
    watch: bool,
    step_output: bool,
    truncate_output_limit: int,
) -> None:
    """Show the instance ID of the workflow NAME with its steps and attempts; without an ID, the newest."""
    if run is not None and watch:
        raise UsageError("--watch shows the run that goes on; leave --run out.")
    with connect(ctx) as client:
        instance = find_instance(ctx, client, instance_id)
        if watch:
            from orchestrator.cli.progress import watch as follow

            follow(ctx, instance, None)
            return
        detail = instance.describe(run)
    now_ms = SystemClock().now_ms()
    Output.of(ctx).record(
        detail.to_dict(),
        id=detail.id,
        show=lambda: show_detail(detail, now_ms, step_output=step_output, limit=truncate_output_limit),
    )
