"""The `orchestrator` command: its parts and what help says of them; it must not import what a command needs to run."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from orchestrator.cli.exits import BROKEN_PIPE, FAILURE, INTERRUPTED, OK
from orchestrator.cli.lazy import Entry, LazyGroup

COMMANDS = {
    "dev": Entry("orchestrator.cli.dev:dev", "Run an application on this machine, reloading on change.", "Run"),
    "worker": Entry("orchestrator.cli.run:worker", "Run steps and workflows for a deployment.", "Run"),
    "web": Entry("orchestrator.cli.run:web", "Serve the pages and the REST interface.", "Run"),
    "listen": Entry("orchestrator.cli.listen:listen", "Start instances and send events from a queue.", "Run"),
    "list": Entry("orchestrator.cli.workflows:list_workflows", "List the workflows.", "Workflows"),
    "describe": Entry("orchestrator.cli.workflows:describe", "Show one workflow.", "Workflows"),
    "configure": Entry("orchestrator.cli.configure:configure", "Set the limits of a workflow.", "Workflows"),
    "delete": Entry("orchestrator.cli.bulk:delete", "Delete a workflow and its instances.", "Workflows"),
    "trigger": Entry("orchestrator.cli.trigger:trigger", "Start an instance of a workflow.", "Workflows"),
    "instances": Entry("orchestrator.cli.instances:instances", "List, show and control instances.", "Workflows"),
    "schedules": Entry("orchestrator.cli.schedules:schedules", "Start instances by the clock.", "Workflows"),
    "versions": Entry("orchestrator.cli.insight:versions", "List the versions of a workflow's code.", "Workflows"),
    "graph": Entry("orchestrator.cli.insight:graph", "Show the shape of a workflow's code.", "Workflows"),
    "stats": Entry("orchestrator.cli.insight:stats", "Show how often and how fast workflows ran.", "Workflows"),
    "rejected": Entry("orchestrator.cli.listen:rejected", "List messages that could not be carried out.", "Workflows"),
    "db": Entry("orchestrator.cli.database:db", "Create and upgrade the database.", "Set up"),
    "tokens": Entry("orchestrator.cli.access:tokens", "Create, list and revoke access tokens.", "Set up"),
    "audit": Entry("orchestrator.cli.access:audit", "Look at the log of changes.", "Set up"),
    "openapi": Entry("orchestrator.cli.description:openapi", "Write the REST interface's OpenAPI document.", "Set up"),
    "completion": Entry("orchestrator.cli.completion:completion", "Complete names in bash, zsh or fish.", "Set up"),
    "version": Entry("orchestrator.cli.version:version", "Show the versions of everything involved.", "Set up"),
}


class Root(LazyGroup):
    """Ends every run of the program: no traceback for Ctrl-C, no word about a closed pipe."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        name = prog_name or "orchestrator"
        if not standalone_mode:
            return super().main(args, name, complete_var, standalone_mode=False, **extra)
        try:
            code = super().main(args, name, complete_var, standalone_mode=False, **extra)
        except click.ClickException as error:
            code = _refuse(error, sys.argv[1:] if args is None else args)
        except (click.Abort, KeyboardInterrupt):
            code = INTERRUPTED
        except click.exceptions.Exit as ended:
            code = ended.exit_code
        sys.exit(code if isinstance(code, int) else OK)

    def invoke(self, ctx: click.Context) -> Any:
        ctx.color = False if os.environ.get("NO_COLOR") else None
        for stream in (sys.stdout, sys.stderr):
            _survive_any_character(stream)
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _stop_writing()
            ctx.exit(BROKEN_PIPE)
        return result


def _refuse(error: click.ClickException, arguments: Sequence[str]) -> int:
    """What click refuses before a command is there to do so, in the format that the command was to write."""
    from orchestrator.cli.output import asked_for_json, refusal

    if asked_for_json(arguments):
        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "orchestrator"
        next_step = f"see what is accepted: {command} --help"
        click.echo(refusal("usage", error.format_message(), [], next_step, error.exit_code), err=True)
    else:
        error.show()
    return error.exit_code


def _survive_any_character(stream: Any) -> None:
    """A terminal that can't show an emoji gets its escape, never a UnicodeEncodeError."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")


def _stop_writing() -> None:
    # Python flushes stdout once more when it exits, and would complain about the closed pipe there.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    """Show the version and exit."""
    if wanted:
        from orchestrator.cli.version import own_version

        click.echo(f"orchestrator {own_version()}")
        ctx.exit()


@click.group("orchestrator", cls=Root, entries=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
def root() -> None:
    """Durable workflows on the Celery, Redis and SQL database you already run.

    \b
    Start here:   orchestrator dev app.py
    Then:         orchestrator trigger NAME '{"some": "params"}' --watch

    Commands on workflows and instances work on the database of DATABASE_URL, or, with ORCHESTRATOR_API_URL (and
    ORCHESTRATOR_API_TOKEN) set, on the server there.
    """


def main() -> NoReturn:
    root.main()
    raise SystemExit(FAILURE)


__all__ = ["main", "root"]
