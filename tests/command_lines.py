"""Whether a command line that a page or a deployment file shows exists, down to its options; it runs none of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click

from orchestrator.cli import root

_CONTINUED = re.compile(r"\\\n\s*")
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")
_SHELL = {";", "&&", "||", "|", "&", ">", "<"}


def typed_into(shell: str) -> Iterator[list[str]]:
    """The commands that somebody who follows a page would type: lines behind a `$`, without variables and comments."""
    for line in _CONTINUED.sub(" ", shell).splitlines():
        if line.startswith("$ "):
            words = shlex.split(line[2:], comments=True)
            while words and _ASSIGNMENT.fullmatch(words[0]):
                words.pop(0)
            yield words


def check_orchestrator(words: list[str]) -> None:
    """Raises click.UsageError (no such command, no such option, …) for what `orchestrator` would refuse."""
    program, *rest = words
    assert program == "orchestrator", f"{program!r} is not our program"
    assert not _SHELL & set(rest), f"write one command a line, not {shlex.join(words)}"
    command: click.Command = root
    context = click.Context(root, info_name="orchestrator")
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command, context = found, click.Context(found, parent=context, info_name=name)
    _, left_over, _ = command.make_parser(context).parse_args(list(rest))
    assert not left_over, f"{shlex.join(words)}: {left_over} means nothing to it"
