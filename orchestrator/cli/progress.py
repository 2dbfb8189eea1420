"""Following an instance until it ends: a live view on a terminal, a line for each change elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from orchestrator.cli.changes import Changes
from orchestrator.cli.liveview import live_view
from orchestrator.cli.outcome import goes_on_without_us, outcome_of, show_output
from orchestrator.cli.output import Output, is_terminal, to_json, write
from orchestrator.clock import SystemClock

if TYPE_CHECKING:
    from orchestrator.cli.connection import AnyInstance
    from orchestrator.inspection import InstanceDetail


def watch(ctx: click.Context, instance: AnyInstance, timeout_s: float | None) -> None:
    """Show every change, then the output; raises what the instance ended with, or ResultTimeout."""
    output = Output.of(ctx)
    with goes_on_without_us(instance):
        last = _follow(output, instance.watch(timeout=timeout_s)) or instance.describe()
    if output.for_people:
        show_output(last)
    elif output.format != "jsonl":
        output.record(last.to_dict(), id=last.id, show=lambda: None)
    outcome_of(last)


def _follow(output: Output, details: Iterator[InstanceDetail]) -> InstanceDetail | None:
    # Data has stdout to itself, so the view of a command that writes data goes where its notes go.
    aside = not output.for_people
    if output.format != "jsonl" and is_terminal(stderr=aside):
        return live_view(details, stderr=aside)
    changes, last = Changes(), None
    for last in details:
        if output.format == "jsonl":
            write(to_json(last.to_dict()))
            continue
        for line in changes.lines(last, SystemClock().now_ms()):
            click.echo(line, err=aside)
    return last
