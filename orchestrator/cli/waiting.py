"""Staying until an instance ends, without a view of it: for `trigger --wait` and `instances wait`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.command import client_command
from orchestrator.cli.completing import instance_ids
from orchestrator.cli.connection import connect, find_instance, workflow_argument
from orchestrator.cli.outcome import goes_on_without_us, outcome_of, show_output
from orchestrator.cli.output import Output
from orchestrator.durations import to_ms
from orchestrator.errors import InstanceErrored, InstanceTerminated

if TYPE_CHECKING:
    from orchestrator.cli.connection import AnyInstance


@client_command("wait")
@workflow_argument
@click.argument("instance_id", metavar="[ID]", default="latest", shell_complete=instance_ids)
@click.option("--timeout", metavar="DURATION", help='Stay no longer, e.g. "30s" or "5 minutes"; the instance goes on.')
def wait(ctx: click.Context, workflow: str, instance_id: str, timeout: str | None) -> None:
    """Stay until the instance ID of the workflow NAME ends and write its output; without an ID, the newest.

    The exit code tells how it ended: 0 complete, 7 not in time, 10 errored, 11 terminated.
    """
    timeout_s = in_seconds(timeout)
    with connect(ctx) as client:
        stay(Output.of(ctx), find_instance(ctx, client, instance_id), timeout_s)


def in_seconds(timeout: str | None) -> float | None:
    """What `--timeout` says. Raises InvalidDuration."""
    return None if timeout is None else to_ms(timeout, what="--timeout") / 1000


def stay(output: Output, instance: AnyInstance, timeout_s: float | None) -> None:
    """Write the output when it has ended; raises what the command ends with, or ResultTimeout."""
    # How it ended is said by the outcome below, after the data has been written.
    with goes_on_without_us(instance), suppress(InstanceErrored, InstanceTerminated):
        instance.result(timeout=timeout_s, type=Any)
    detail = instance.describe()
    output.record(detail.to_dict(), id=detail.id, show=lambda: show_output(detail))
    outcome_of(detail)
