"""`orchestrator instances step`: the whole output of one step, which lists cut short; a stream as its bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from orchestrator.cli.actions import STEP_TYPES
from orchestrator.cli.command import client_command
from orchestrator.cli.connection import connect, find_instance, instance_argument, workflow_argument
from orchestrator.cli.output import Output, note, write
from orchestrator.cli.wording import error_words, value_words
from orchestrator.errors import UsageError


@client_command("step")
@workflow_argument
@instance_argument
@click.argument("step", metavar="STEP")
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, metavar="K", help="Which of that name.")
@click.option("--type", "kind", type=click.Choice(STEP_TYPES), default="do", show_default=True, help="What kind it is.")
@click.option("--attempt", type=click.IntRange(1), metavar="N", help="What this attempt failed with.")
@click.option("--to", metavar="FILE", help="Write the output there; bytes for a stream, JSON for anything else.")
def step(
    ctx: click.Context,
    workflow: str,
    instance_id: str,
    step: str,
    count: int,
    kind: str,
    attempt: int | None,
    to: str | None,
) -> None:
    """Write the whole output of STEP, its name without the counter; a stream is written as its bytes."""
    output = Output.of(ctx)
    with connect(ctx) as client:
        found = find_instance(ctx, client, instance_id).step(step, count=count, type=kind, attempt=attempt)
        if found.stream is not None:
            if to is None and not output.for_people:
                raise UsageError(
                    "The step returned a stream of bytes, which is no JSON: leave -o out, or give --to FILE."
                )
            _save(found.stream, to)
            return
    text = value_words(found.output)
    if to is not None:
        _save([f"{text}\n".encode()], to)
        return
    data = {"status": found.status, "output": found.output, "error": found.error, "event_type": found.event_type}
    shown = found.status == "complete" or found.output is not None
    output.record(data, id=step, show=lambda: write(text) if shown else None)
    if output.for_people and not shown:
        note(f"The step is {found.status}{f': {error_words(found.error)}' if found.error else '; it has no output'}")


def _save(chunks: Iterable[bytes], to: str | None) -> None:
    """Raises UsageError where it can't be written."""
    written = 0
    try:
        if to is None:
            for chunk in chunks:
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            return
        with Path(to).open("wb") as file:
            for chunk in chunks:
                written += file.write(chunk)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"Can't write to {to!r}: {error.strerror or error}.") from None
    note(f"✅ Wrote {written:,} bytes to {to}")
