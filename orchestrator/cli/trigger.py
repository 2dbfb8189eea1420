"""`orchestrator trigger`: start an instance, and if wanted stay until it ends; wrong params are never written."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import click

from orchestrator.cli.command import INSTANCE, client_command
from orchestrator.cli.connection import app_option, connect, known_class, workflow_argument
from orchestrator.cli.outcome import goes_on_without_us, outcome_of, show_output
from orchestrator.cli.output import Output, note
from orchestrator.cli.params import read_json
from orchestrator.durations import to_ms
from orchestrator.errors import InstanceErrored, InstanceTerminated

if TYPE_CHECKING:
    from orchestrator.cli.connection import AnyInstance


@client_command("trigger")
@workflow_argument
@click.argument("params", required=False, metavar="[JSON|@FILE|-]")
@click.option("--id", "instance_id", metavar="ID", help="Your own id for the instance; must not be taken.")
@click.option("--wait", is_flag=True, help="Stay until the instance ends and write its output.")
@click.option("--watch", is_flag=True, help="Stay until the instance ends and show its steps live.")
@click.option("--timeout", metavar="DURATION", help='Stay no longer, e.g. "30s" or "5 minutes"; the instance goes on.')
@app_option
def trigger(
    ctx: click.Context,
    workflow: str,
    params: str | None,
    instance_id: str | None,
    wait: bool,
    watch: bool,
    timeout: str | None,
    app: str | None,
) -> None:
    """Start an instance of the workflow NAME.

    Params are JSON text, @file for a file, or - for stdin. With --wait or --watch the exit code tells how it ended:
    0 complete, 7 not in time, 10 errored, 11 terminated.
    """
    if timeout is not None and not (wait or watch):
        raise click.UsageError("--timeout says how long to stay: give it with --wait or --watch.", ctx)
    timeout_s = None if timeout is None else to_ms(timeout, what="--timeout") / 1000
    given = read_json(params, what="params")
    output = Output.of(ctx)
    with connect(ctx) as client:
        started = client.workflow(known_class(ctx, app, workflow)).create(given, id=instance_id)
        ctx.meta[INSTANCE] = started.id
        if output.for_people:
            note(f'🚀 Workflow instance "{started.id}" has been queued successfully')
        if watch:
            from orchestrator.cli.progress import watch as follow

            follow(ctx, started, timeout_s)
        elif wait:
            _wait(output, started, timeout_s)
        else:
            if output.for_people:
                note(f"   See it: orchestrator instances describe {started.workflow} {started.id} --watch")
            created = {"id": started.id, "workflow": started.workflow, "status": "queued"}
            output.record(created, id=started.id, show=lambda: None)


def _wait(output: Output, started: AnyInstance, timeout_s: float | None) -> None:
    # How it ended is said by the outcome below, after the data has been written.
    with goes_on_without_us(started), suppress(InstanceErrored, InstanceTerminated):
        started.result(timeout=timeout_s)
    detail = started.describe()
    output.record(detail.to_dict(), id=detail.id, show=lambda: show_output(detail))
    outcome_of(detail)
