"""`orchestrator delete` and `instances terminate-all`: jobs on all instances of a workflow; they ask before."""

from __future__ import annotations

import click

from orchestrator.cli.actions import yes_option
from orchestrator.cli.command import client_command
from orchestrator.cli.connection import connect, find_workflow, workflow_argument
from orchestrator.cli.output import Output, note
from orchestrator.cli.several import confirm

STATUSES = ("queued", "running", "paused", "waiting", "waitingForPause")


@client_command("terminate-all")
@workflow_argument
@click.option(
    "--status", multiple=True, type=click.Choice(STATUSES), help="Only those in this status; may be repeated."
)
@yes_option
def terminate_all(ctx: click.Context, workflow: str, status: tuple[str, ...], yes: bool) -> None:
    """Terminate all instances of the workflow NAME that there are now, in the background."""
    narrowed = f' with status "{", ".join(status)}"' if status else ""
    with connect(ctx) as client:
        handle = find_workflow(ctx, client, workflow)
        confirm(ctx, f'Terminate all instances of workflow "{workflow}"{narrowed}?', yes)
        job = handle.terminate_all(list(status) or None)
    output = Output.of(ctx)
    output.record({"workflow": workflow, "status": job.status}, id=job.status, show=lambda: None)
    if output.for_people:
        state = "has been started" if job.status == "ok" else "is already running"
        note(
            f'🥷 A job to terminate instances from Workflow "{workflow}"{narrowed} {state}. '
            "It might take a few minutes to complete."
        )


@client_command("delete")
@workflow_argument
@yes_option
def delete(ctx: click.Context, workflow: str, yes: bool) -> None:
    """Delete the workflow NAME with its schedules and, in the background, all its instances.

    A worker that still has its class registers it again when it starts.
    """
    with connect(ctx) as client:
        handle = find_workflow(ctx, client, workflow)
        confirm(ctx, f'Delete workflow "{workflow}", its schedules and all its instances?', yes)
        job = handle.delete()
    output = Output.of(ctx)
    output.record({"workflow": workflow, "status": job.status}, id=workflow, show=lambda: None)
    if output.for_people:
        note(f'✅ Workflow "{workflow}" removed successfully.')
        note("   It may take a few minutes until its running instances are terminated.")
