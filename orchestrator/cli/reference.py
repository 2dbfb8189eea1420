"""Writes docs/cli.md from the help of the commands: `python -m orchestrator.cli.reference > docs/cli.md`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import click

from orchestrator.cli import root
from orchestrator.cli.exits import (
    CONFLICT,
    FAILURE,
    INSTANCE_ERRORED,
    INSTANCE_TERMINATED,
    INTERRUPTED,
    NOT_FOUND,
    OK,
    REFUSED,
    TIMEOUT,
    UNREACHABLE,
    USAGE,
)
from orchestrator.cli.lazy import LazyGroup

WIDTH = 100
EXITS = {
    OK: "it was done",
    FAILURE: "it failed, or nothing was changed because the answer was no",
    USAGE: "it can't be carried out as it was asked for; nothing was done",
    NOT_FOUND: "there is no such workflow, instance, schedule, …",
    CONFLICT: "not in this state, or the id or port is taken",
    REFUSED: "the server wants a token, or the token does not allow this",
    UNREACHABLE: "the database, broker or server can't be reached",
    TIMEOUT: "not in the time that was given; the instance goes on",
    INSTANCE_ERRORED: "the instance that was waited for has errored",
    INSTANCE_TERMINATED: "the instance that was waited for was terminated",
    INTERRUPTED: "Ctrl-C",
}
_HEAD = """# The command line

<!-- Written by `python -m orchestrator.cli.reference > docs/cli.md` from the commands' own help: change it there. -->

Data goes to stdout, in the format of `-o` (or `ORCHESTRATOR_OUTPUT`); everything else goes to stderr. Commands that destroy
something ask first, and without a terminal want `--yes`. Where an ID is asked for, `latest` is the newest instance, and the
first characters of an id will do (4 at least) if no other begins so. Commands with `--url` work on a server as they do on
the database: set `ORCHESTRATOR_API_URL` and `ORCHESTRATOR_API_TOKEN`, and install the extra `remote`.

`orchestrator completion bash` (or `zsh`, `fish`) writes what makes a shell complete commands, workflows and ids.

| exit code | meaning |
|---:|---|
"""


def reference() -> str:
    """The whole page."""
    exits = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXITS.items())
    parts = [f"{_HEAD}{exits}"]
    for path, command in _commands(root, ()):
        context = click.Context(
            command,
            info_name=" ".join(("orchestrator", *path)),
            terminal_width=WIDTH,
            help_option_names=["-h", "--help"],
        )
        shown = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
        parts.append(
            f"{'#' * (2 if len(path) < 2 else 3)} {' '.join(('orchestrator', *path))}\n\n```text\n{shown}\n```\n"
        )
    return "\n".join(parts)


def _commands(group: LazyGroup, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, group
    for name in group.entries:
        command = group.get_command(click.Context(group), name)
        if isinstance(command, LazyGroup):
            yield from _commands(command, (*path, name))
        elif command is not None:
            yield (*path, name), command


if __name__ == "__main__":
    # What this machine has set must not be what the page says.
    for variable in [name for name in os.environ if name.startswith("ORCHESTRATOR_")]:
        del os.environ[variable]
    click.echo(reference(), nl=False)
