"""The class of every command: output options, and the one place where an error becomes a message and an exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from orchestrator.cli.exits import Remedy, remedy_for
from orchestrator.cli.output import Output, output_options, refusal
from orchestrator.cli.remote import remote_options
from orchestrator.cli.wording import printable
from orchestrator.errors import OrchestratorError


class Command(click.Command):
    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params.extend(output_options())

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OrchestratorError as error:
            ctx.exit(report(ctx, error))


def command(name: str, **attributes: Any) -> Callable[[Callable[..., Any]], click.Command]:
    def decorate(function: Callable[..., Any]) -> click.Command:
        return click.command(name, cls=Command, **attributes)(click.pass_context(function))

    return decorate


class ClientCommand(Command):
    """A command that works through the client: on the database, or on a server."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params.extend(remote_options())


def client_command(name: str, **attributes: Any) -> Callable[[Callable[..., Any]], click.Command]:
    def decorate(function: Callable[..., Any]) -> click.Command:
        return click.command(name, cls=ClientCommand, **attributes)(click.pass_context(function))

    return decorate


def report(ctx: click.Context, error: OrchestratorError, *, for_people: bool = False) -> int:
    """Say what happened, why, and the next command, as JSON where data is JSON; return the exit code."""
    remedy = remedy_for(error)
    next_step = _fill_in(remedy, ctx)
    notes = [str(line) for line in getattr(error, "__notes__", ())]
    if Output.of(ctx).format in ("json", "jsonl") and not for_people:
        click.echo(refusal(error.code, error.message, notes, next_step, remedy.exit_code), err=True)
        return remedy.exit_code
    click.echo(f"{click.style('Error:', fg='red', bold=True)} {printable(error.message)}", err=True)
    for line in notes:
        click.echo(f"       {printable(line)}", err=True)
    if next_step not in error.message:
        click.echo(f"{click.style('Next:', bold=True)}  {printable(next_step)}", err=True)
    return remedy.exit_code


def _fill_in(remedy: Remedy, ctx: click.Context) -> str:
    """The commands of a remedy name what this command was called with."""
    several = ctx.params.get("instance_ids")
    return remedy.next.format(
        workflow=ctx.params.get("workflow") or "NAME",
        instance=ctx.meta.get(INSTANCE) or ctx.params.get("instance_id") or next(iter(several or ()), "ID"),
        command=ctx.command_path,
    )


INSTANCE = "orchestrator.cli.instance"
"""Where a command leaves the id it works on when the id was not on its command line (`latest`, or a new one)."""
