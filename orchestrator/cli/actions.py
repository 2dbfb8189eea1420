"""The commands that change an instance; those that destroy something ask first, and never without a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from orchestrator.cli.command import client_command
from orchestrator.cli.connection import connect, find_instance, instance_argument, workflow_argument
from orchestrator.cli.output import Output, is_terminal, note, to_json
from orchestrator.cli.params import read_json
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from orchestrator.cli.connection import AnyInstance
    from orchestrator.client import InstanceState

yes_option = click.option("--yes", "-y", is_flag=True, help="Do it without asking.")


@client_command("pause")
@workflow_argument
@instance_argument
def pause(ctx: click.Context, workflow: str, instance_id: str) -> None:
    """Pause an instance: steps that run finish and are kept; its deadlines move by the length of the pause."""
    with connect(ctx) as client:
        instance = find_instance(ctx, client, instance_id)
        _tell(ctx, instance, instance.pause(), "⏸️  The {what} was paused successfully")


@client_command("resume")
@workflow_argument
@instance_argument
def resume(ctx: click.Context, workflow: str, instance_id: str) -> None:
    """Resume a paused instance where it was."""
    with connect(ctx) as client:
        instance = find_instance(ctx, client, instance_id)
        _tell(ctx, instance, instance.resume(), "🔄 The {what} was resumed successfully")


@client_command("terminate")
@workflow_argument
@instance_argument
@yes_option
def terminate(ctx: click.Context, workflow: str, instance_id: str, yes: bool) -> None:
    """End an instance at once; what its running steps still do is ignored."""
    with connect(ctx) as client:
        instance = find_instance(ctx, client, instance_id)
        _confirm(ctx, f"Terminate the {_what(instance)}?", yes)
        _tell(ctx, instance, instance.terminate(), "🥷 The {what} was terminated successfully")


@client_command("restart")
@workflow_argument
@instance_argument
@yes_option
def restart(ctx: click.Context, workflow: str, instance_id: str, yes: bool) -> None:
    """Run an instance from its beginning again, with the same id and params."""
    with connect(ctx) as client:
        instance = find_instance(ctx, client, instance_id)
        _confirm(ctx, f"Restart the {_what(instance)}? Every step runs again.", yes)
        _tell(ctx, instance, instance.restart(), "🥷 The {what} was restarted successfully")


@client_command("delete")
@workflow_argument
@instance_argument
@yes_option
def delete(ctx: click.Context, workflow: str, instance_id: str, yes: bool) -> None:
    """Delete an instance with its history; if it runs it is stopped, and its id is free again."""
    with connect(ctx) as client:
        instance = find_instance(ctx, client, instance_id)
        _confirm(ctx, f"Delete the {_what(instance)} and its history?", yes)
        instance.delete()
        output = Output.of(ctx)
        data = {"id": instance.id, "workflow": instance.workflow, "deleted": True}
        output.record(data, id=instance.id, show=lambda: None)
        if output.for_people:
            note(f'🗑️  Deleted workflow instances from "{instance.workflow}": "{instance.id}"')


@client_command("send-event")
@workflow_argument
@instance_argument
@click.option("--type", "event_type", required=True, metavar="TYPE", help="The type the instance waits for.")
@click.option("--payload", metavar="JSON|@FILE|-", help="What the event carries.")
def send_event(ctx: click.Context, workflow: str, instance_id: str, event_type: str, payload: str | None) -> None:
    """Send an event to an instance; if it doesn't wait for one of this type yet, the event is kept until it does."""
    content = read_json(payload, what="payload")
    with connect(ctx) as client:
        instance = find_instance(ctx, client, instance_id)
        instance.send_event(event_type, content)
        output = Output.of(ctx)
        data = {"id": instance.id, "workflow": instance.workflow, "type": event_type, "payload": content}
        output.record(data, id=instance.id, show=lambda: None)
        if output.for_people:
            carried = f' and payload "{to_json(content)}"' if payload is not None else ""
            note(f'📤 The event with type "{event_type}"{carried} was sent to the {_what(instance)}')


def _what(instance: AnyInstance) -> str:
    return f'instance "{instance.id}" from {instance.workflow}'


def _tell(ctx: click.Context, instance: AnyInstance, state: InstanceState, sentence: str) -> None:
    output = Output.of(ctx)
    data = {"id": instance.id, "workflow": instance.workflow, "status": str(state.status)}
    output.record(data, id=instance.id, show=lambda: None)
    if output.for_people:
        note(sentence.format(what=_what(instance)))


def _confirm(ctx: click.Context, question: str, yes: bool) -> None:
    if yes:
        return
    if not _somebody_is_there():
        raise UsageError(f"{question} Nobody can be asked here, as this is not a terminal: give --yes to do it.")
    if not click.confirm(question, err=True):
        note("Nothing was changed.")
        ctx.exit(1)


def _somebody_is_there() -> bool:
    return sys.stdin.isatty() and is_terminal(stderr=True)
