"""`orchestrator trigger`: start an instance, and if wanted stay until it ends; wrong params are never written."""

from __future__ import annotations

from typing import Any

import click

from orchestrator.cli.batch import AT_ONCE, MOST, check_all, instances_in, trigger_many
from orchestrator.cli.command import INSTANCE, client_command
from orchestrator.cli.connection import app_option, connect, known_class, workflow_argument
from orchestrator.cli.keeping import retention, retention_options
from orchestrator.cli.output import Output, note
from orchestrator.cli.params import read_json
from orchestrator.cli.waiting import in_seconds, stay


@client_command("trigger")
@workflow_argument
@click.argument("params", required=False, metavar="[JSON|@FILE|-]")
@click.option("--id", "instance_id", metavar="ID", help="Your own id for the instance; must not be taken.")
@click.option("--count", type=click.IntRange(1, MOST), metavar="N", help="Start so many, all with these params.")
@click.option(
    "--batch",
    metavar="FILE",
    help='One for each line of JSON, or item of an array: {"id": …, "params": …}; - for stdin.',
)
@click.option("--wait", is_flag=True, help="Stay until the instance ends and write its output.")
@click.option("--watch", is_flag=True, help="Stay until the instance ends and show its steps live.")
@click.option("--timeout", metavar="DURATION", help='Stay no longer, e.g. "30s" or "5 minutes"; the instance goes on.')
@retention_options
@app_option
def trigger(
    ctx: click.Context,
    workflow: str,
    params: str | None,
    instance_id: str | None,
    count: int | None,
    batch: str | None,
    wait: bool,
    watch: bool,
    timeout: str | None,
    success_retention: str | None,
    error_retention: str | None,
    app: str | None,
) -> None:
    """Start an instance of the workflow NAME.

    Params are JSON text, @file for a file, or - for stdin; with --batch they are for those that have none.

    With --wait or --watch the exit code tells how it ended: 0 complete, 7 not in time, 10 errored, 11 terminated.
    """
    if timeout is not None and not (wait or watch):
        raise click.UsageError("--timeout says how long to stay: give it with --wait or --watch.", ctx)
    timeout_s = in_seconds(timeout)
    if count is not None or batch is not None:
        if (count is not None and batch is not None) or instance_id is not None or wait or watch:
            raise click.UsageError(
                "--count and --batch start many: give one of them, without --id, --wait, --watch.", ctx
            )
    many = count if batch is None else instances_in(batch)
    given = read_json(params, what="params")
    kept = retention(success_retention, error_retention)
    more: dict[str, Any] = {"retention": kept} if kept else {}
    output = Output.of(ctx)
    with connect(ctx) as client:
        known = known_class(ctx, app, workflow)
        if isinstance(many, list) and len(many) > AT_ONCE:  # so many are checked together by the client
            check_all(many, known)
        handle = client.workflow(known)
        if many is not None:
            trigger_many(output, handle, many, given, **more)
            return
        started = handle.create(given, id=instance_id, **more)
        ctx.meta[INSTANCE] = started.id
        if output.for_people:
            note(f'🚀 Workflow instance "{started.id}" has been queued successfully')
        if watch:
            from orchestrator.cli.progress import watch as follow

            follow(ctx, started, timeout_s)
        elif wait:
            stay(output, started, timeout_s)
        else:
            if output.for_people:
                note(f"   See it: orchestrator instances describe {started.workflow} {started.id} --watch")
            created = {"id": started.id, "workflow": started.workflow, "status": "queued"}
            output.record(created, id=started.id, show=lambda: None)
