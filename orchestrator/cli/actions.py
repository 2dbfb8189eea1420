"""The commands that change instances; those that destroy something ask first, and never without a terminal."""

from __future__ import annotations

from typing import Any

import click

from orchestrator.cli.command import client_command
from orchestrator.cli.connection import (
    connect,
    find_instance,
    instance_argument,
    instances_argument,
    workflow_argument,
)
from orchestrator.cli.output import Output, note, to_json
from orchestrator.cli.params import read_json
from orchestrator.cli.several import act_on, what
from orchestrator.errors import UsageError

yes_option = click.option("--yes", "-y", is_flag=True, help="Do it without asking.")
watch_option = click.option("--watch", is_flag=True, help="Then stay until the instance ends and show its steps live.")
STEP_TYPES = ("do", "sleep", "waitForEvent")


@client_command("pause")
@workflow_argument
@instances_argument
def pause(ctx: click.Context, workflow: str, instance_ids: tuple[str, ...]) -> None:
    """Pause instances: steps that run finish and are kept; deadlines move by the length of the pause."""
    act_on(ctx, instance_ids, lambda instance: instance.pause(), "⏸️  The {what} was paused successfully")


@client_command("resume")
@workflow_argument
@instances_argument
@watch_option
def resume(ctx: click.Context, workflow: str, instance_ids: tuple[str, ...], watch: bool) -> None:
    """Resume paused instances where they were."""
    act_on(ctx, instance_ids, lambda instance: instance.resume(), "🔄 The {what} was resumed successfully", watch=watch)


@client_command("terminate")
@workflow_argument
@instances_argument
@click.option("--rollback", is_flag=True, help="Run the rollback handlers of the steps that have begun, then end.")
@yes_option
def terminate(ctx: click.Context, workflow: str, instance_ids: tuple[str, ...], rollback: bool, yes: bool) -> None:
    """End instances at once; what their running steps still do is ignored."""
    act_on(
        ctx, instance_ids, lambda instance: instance.terminate(rollback=rollback), "🥷 The {what} was terminated successfully",
        question="Terminate the {what}?", yes=yes,
    )  # fmt: skip


@client_command("restart")
@workflow_argument
@instances_argument
@click.option(
    "--from-step-name", metavar="STEP", help="Keep what came before this step; run it and all after it again."
)
@click.option("--from-step-count", type=click.IntRange(1), metavar="K", help="Which step of that name. [default: 1]")
@click.option("--from-step-type", type=click.Choice(STEP_TYPES), help="What kind of step it is. [default: do]")
@yes_option
@watch_option
def restart(
    ctx: click.Context,
    workflow: str,
    instance_ids: tuple[str, ...],
    from_step_name: str | None,
    from_step_count: int | None,
    from_step_type: str | None,
    yes: bool,
    watch: bool,
) -> None:
    """Run instances again with the same id and params: from their beginning, or from a step."""
    if from_step_name is None and (from_step_count is not None or from_step_type is not None):
        raise UsageError("--from-step-count and --from-step-type say which step is meant: give --from-step-name too.")
    from_: dict[str, Any] | None = None
    again = "Every step runs again."
    if from_step_name is not None:
        given = {"name": from_step_name, "count": from_step_count, "type": from_step_type}
        from_ = {name: value for name, value in given.items() if value is not None}
        again = f"From step {from_step_name!r} on every step runs again."
    act_on(
        ctx, instance_ids, lambda instance: instance.restart(from_=from_), "🥷 The {what} was restarted successfully",
        question=f"Restart the {{what}}? {again.replace('{', '{{').replace('}', '}}')}", yes=yes, watch=watch,
    )  # fmt: skip


@client_command("send-event")
@workflow_argument
@instance_argument
@click.option("--type", "event_type", required=True, metavar="TYPE", help="The type the instance waits for.")
@click.option("--payload", metavar="JSON|@FILE|-", help="What the event carries.")
@watch_option
def send_event(
    ctx: click.Context, workflow: str, instance_id: str, event_type: str, payload: str | None, watch: bool
) -> None:
    """Send an event to an instance; if it doesn't wait for one of this type yet, the event is kept until it does."""
    content = read_json(payload, what="payload")
    with connect(ctx) as client:
        instance = find_instance(ctx, client, instance_id)
        instance.send_event(event_type, content)
        output = Output.of(ctx)
        if output.for_people:
            carried = f' and payload "{to_json(content)}"' if payload is not None else ""
            note(f'📤 The event with type "{event_type}"{carried} was sent to the {what(instance)}')
        if watch:
            from orchestrator.cli.progress import watch as follow

            follow(ctx, instance, None)
            return
        data = {"id": instance.id, "workflow": instance.workflow, "type": event_type, "payload": content}
        output.record(data, id=instance.id, show=lambda: None)
