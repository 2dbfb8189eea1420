"""How every command writes: data to stdout in the format asked for, everything else to stderr; all go through here."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.wording import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

FORMATS = ("table", "wide", "json", "jsonl", "name", "id")
"""`wide` is a table with more columns; `name` and `id` are two words for one thing: what the next command takes."""
_META = "orchestrator.cli.format"


def output_options() -> list[click.Option]:
    """`-o` and `--json`, which every command has."""

    def remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        # `--json` is declared first and so wins over `-o` and the environment.
        if value:
            ctx.meta.setdefault(_META, "json" if value is True else value)

    shared: dict[str, Any] = {"expose_value": False, "callback": remember}
    return [
        click.Option(["--json"], is_flag=True, is_eager=True, help="The same as -o json.", **shared),
        click.Option(
            ["-o", "--output"],
            type=click.Choice(FORMATS),
            default="table",
            show_default=True,
            envvar="ORCHESTRATOR_OUTPUT",
            show_envvar=True,
            help="What to write to stdout.",
            **shared,
        ),
    ]


def asked_for_json(arguments: Sequence[str]) -> bool:
    """Whether a command line that could not be read as a whole asks for JSON; after `--` nothing is an option."""
    given = list(takewhile(lambda argument: argument != "--", arguments))
    formats = ["json" for argument in given if argument == "--json"]
    for argument, following in zip(given, [*given[1:], ""], strict=True):
        for name in ("--output=", "-o"):
            if argument.startswith(name) and argument != name:
                formats.append(argument.removeprefix(name))
        if argument in ("-o", "--output"):
            formats.append(following)
    return bool({"json", "jsonl"} & set(formats or [os.environ.get("ORCHESTRATOR_OUTPUT", "")]))


def refusal(code: str, message: str, notes: Sequence[str], next_step: str, exit_code: int) -> str:
    """An error for programs, as JSON."""
    error = {"code": code, "message": message, "notes": list(notes), "next": next_step}
    return to_json({"error": error, "exit_code": exit_code})


@dataclass(frozen=True, slots=True)
class Output:
    format: str

    @classmethod
    def of(cls, ctx: click.Context) -> Output:
        return cls(ctx.meta.get(_META, "table"))

    @property
    def for_people(self) -> bool:
        return self.format in ("table", "wide")

    @property
    def wide(self) -> bool:
        return self.format == "wide"

    @property
    def to_terminal(self) -> bool:
        return is_terminal()

    def record(self, data: Mapping[str, Any], *, id: str, show: Callable[[], RenderableType | None]) -> None:
        """One thing: as JSON, as its id, or as `show` draws it (None: nothing to draw)."""
        if self.format == "json":
            write(to_json(data, indent=2))
        elif self.format == "jsonl":
            write(to_json(data))
        elif self.format in ("name", "id"):
            write(id)
        elif (drawn := show()) is not None:
            draw(drawn)

    def rows(
        self, data: Sequence[Mapping[str, Any]], *, ids: Iterable[str], show: Callable[[], RenderableType | None]
    ) -> None:
        """Many things: a JSON array, a line of JSON each, an id each, or one table."""
        if self.format == "json":
            write(to_json(data, indent=2))
        elif self.format == "jsonl":
            for row in data:
                write(to_json(row))
        elif self.format in ("name", "id"):
            for id in ids:
                write(id)
        elif (drawn := show()) is not None:
            draw(drawn)


def to_json(data: Any, indent: int | None = None) -> str:
    return json.dumps(data, ensure_ascii=False, indent=indent)


def write(line: str) -> None:
    """One line of data."""
    click.echo(line)


def note(text: str) -> None:
    """One line for the person who runs the command."""
    click.echo(printable(text), err=True)


def is_terminal(*, stderr: bool = False) -> bool:
    return (sys.stderr if stderr else sys.stdout).isatty()


def console(*, stderr: bool = False) -> Console:
    """Rich without guesses: no markup in data, and no folding to 80 columns where nobody looks at a screen."""
    from rich.console import Console

    file = sys.stderr if stderr else sys.stdout
    terminal = file.isatty()
    width = None if terminal else 10_000
    return Console(file=file, width=width, force_terminal=terminal, markup=False, emoji=False, highlight=False)


def draw(renderable: RenderableType, *, stderr: bool = False) -> None:
    screen = console(stderr=stderr)
    with screen.capture() as drawn:
        screen.print(renderable)
    for line in drawn.get().splitlines():
        click.echo(line.rstrip(), err=stderr, color=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[str | tuple[str, str]]]) -> Table:
    """Columns of text, without a header if no column has a name; a cell is a text or (text, style)."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(*columns, box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for column in drawn.columns:
        column.overflow = "fold"
    for row in rows:
        cells = [(cell, "") if isinstance(cell, str) else cell for cell in row]
        drawn.add_row(*(Text(printable(text), style=style) for text, style in cells))
    return drawn
