"""Reading JSON from the command line, a file or stdin, and showing where it is wrong; it must not know any workflow."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NoReturn

from orchestrator.cli.output import is_terminal, note
from orchestrator.errors import InvalidParams, UsageError

_SHOWN = 60
"""Characters shown on either side of a mistake: the rest of the line may be a megabyte."""


def read_json(given: str | None, *, what: str) -> Any:
    """JSON text, `@file`, `-` for stdin, or None for nothing given; `what` names it in errors (`params`, `payload`)."""
    if given is None:
        return None
    if given == "-":
        return parse_json(_read_stdin(what), what=f"{what} from stdin")
    if given.startswith("@"):
        return parse_json(_read_file(given[1:], what), what=f"{what} in {given[1:]}")
    return parse_json(given, what=what)


def read_text(file: str, what: str) -> str:
    """A file's text, or stdin's for `-`. Raises UsageError."""
    return _read_stdin(what) if file == "-" else _read_file(file, what)


def parse_json(text: str, *, what: str) -> Any:
    """Strict JSON: NaN and Infinity, which other readers of the value would refuse, are refused here."""

    def refuse(constant: str) -> NoReturn:
        position = text.find(constant)
        raise json.JSONDecodeError(f"{constant} is not JSON", text, max(position, 0))

    try:
        return json.loads(text.removeprefix("\ufeff"), parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise _invalid(error, what) from None
    except ValueError:  # Python reads no number longer than that
        raise InvalidParams(f"The {what} are not valid JSON: they have a number of more than 4,300 digits.") from None
    except RecursionError:
        raise InvalidParams(f"The {what} are nested too deeply to be read.") from None


def _invalid(error: json.JSONDecodeError, what: str) -> InvalidParams:
    if not error.doc.strip():
        return InvalidParams(f"The {what} are not valid JSON: there is nothing. Give JSON, or leave the argument out.")
    line = error.doc.split("\n")[error.lineno - 1]
    start = max(0, error.colno - 1 - _SHOWN)
    shown = line[start : error.colno - 1 + _SHOWN].replace("\t", " ").rstrip("\r")
    pointer = " " * (error.colno - 1 - start) + "^"
    mistake = InvalidParams(
        f"The {what} are not valid JSON: {error.msg} (line {error.lineno}, column {error.colno}).\n"
        f"  {shown}\n  {pointer}"
    )
    if "'" in error.doc or not any(mark in error.doc for mark in '"[0123456789'):
        mistake.add_note("JSON takes double quotes; put single quotes around the whole for the shell, or use @file.")
    return mistake


def _read_file(path: str, what: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"Can't read the {what} from {path!r}: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"Can't read the {what} from {path!r}: the file is not UTF-8 text.") from None


def _read_stdin(what: str) -> str:
    if sys.stdin.isatty() and is_terminal(stderr=True):
        note(f"Reading {what} from the terminal: type JSON, then Ctrl-D.")
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        raise UsageError(f"Can't read the {what} from stdin: it is not UTF-8 text.") from None
