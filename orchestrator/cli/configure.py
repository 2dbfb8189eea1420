"""`orchestrator configure`: what is set for a workflow from outside, which counts more than what its class says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.command import client_command
from orchestrator.cli.connection import connect, workflow_argument
from orchestrator.cli.keeping import retention, retention_options
from orchestrator.cli.output import Output, note
from orchestrator.durations import MAX_MS, in_words
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from orchestrator.inspection import WorkflowView

SETTINGS = ("limits", "concurrency", "default-retention")


@client_command("configure")
@workflow_argument
@click.option("--steps", type=int, metavar="N", help="How many steps one instance may call, at most 25,000.")
@click.option("--concurrency", type=int, metavar="N", help="How many instances may run at once; others are queued.")
@retention_options
@click.option(
    "--reset", multiple=True, type=click.Choice(SETTINGS), help="What the class says counts again; repeatable."
)
def configure(
    ctx: click.Context,
    workflow: str,
    steps: int | None,
    concurrency: int | None,
    success_retention: str | None,
    error_retention: str | None,
    reset: tuple[str, ...],
) -> None:
    """Set a workflow's limits from outside: this counts more than what its class says, at once and for all workers.

    The retentions are set together: one that is not given is as the settings of the service say.
    """
    settings: dict[str, Any] = {name.replace("-", "_"): None for name in reset}
    if steps is not None:
        settings["limits"] = {"steps": steps}
    if concurrency is not None:
        settings["concurrency"] = {"limit": concurrency}
    if kept := retention(success_retention, error_retention):
        settings["default_retention"] = kept
    if not settings:
        raise UsageError("There is nothing to set: give --steps, --concurrency, a retention, or --reset.")
    with connect(ctx) as client:
        view = client.workflow(workflow).configure(**settings)

    def show() -> None:
        note(f"🔧 Workflow {view.name} is set to: {settings_words(view)}")

    Output.of(ctx).record(view.to_dict(), id=view.name, show=show)


def settings_words(view: WorkflowView) -> str:
    """What holds, whoever has set it."""
    words = []
    if steps := view.limits.get("steps"):
        words.append(f"{steps:,} steps")
    if limit := view.concurrency.get("limit"):
        words.append(f"{limit:,} at once")
    for name, ended in (("success_retention", "complete"), ("error_retention", "errored")):
        if ms := view.default_retention.get(name):
            words.append(f"{ended} ones kept {'forever' if ms == MAX_MS else 'for ' + in_words(ms)}")
    return ", ".join(words) or "the defaults"
