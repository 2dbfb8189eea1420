"""A click group that knows its commands by name and imports one only when it runs, so that help stays instant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click


class Entry(NamedTuple):
    """Where a command is found and what help says of it, without importing it."""

    target: str
    help: str
    section: str = "Commands"


class LazyGroup(click.Group):
    def __init__(self, *args: Any, entries: Mapping[str, Entry] | None = None, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.entries = dict(entries or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.target} is not a click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        given = args[0]
        if given in self.entries or given.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        known = f"did you mean {likely[0]!r}?" if (likely := similar(given, self.entries)) else "see --help."
        ctx.fail(f"No such command {given!r}: {known}")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Without importing the commands: a shell asks between two keys."""
        from click.shell_completion import CompletionItem

        names = [
            CompletionItem(name, help=entry.help) for name, entry in self.entries.items() if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in self.entries.items():
            sections.setdefault(entry.section, []).append((name, entry.help))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)


def similar(given: str, known: Iterable[str]) -> list[str]:
    """The known names that somebody who typed `given` may have meant, likeliest first."""
    from difflib import get_close_matches

    names = list(known)
    close = get_close_matches(given.lower(), names, n=3, cutoff=0.6)
    return close or [name for name in names if given and name.startswith(given)][:3]
