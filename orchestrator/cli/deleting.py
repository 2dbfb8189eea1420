"""`orchestrator instances delete`: one instance, or up to a hundred in one transaction; it asks before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from orchestrator.cli.actions import yes_option
from orchestrator.cli.command import INSTANCE, client_command
from orchestrator.cli.connection import (
    connect,
    find_instance,
    find_workflow,
    optional_instances_argument,
    workflow_argument,
)
from orchestrator.cli.output import Output, note
from orchestrator.cli.params import read_json
from orchestrator.cli.several import confirm, what, write_done
from orchestrator.errors import InstanceNotFound, UsageError

if TYPE_CHECKING:
    from orchestrator.cli.connection import AnyClient

_NAMED = 5


@client_command("delete")
@workflow_argument
@optional_instances_argument
@click.option("--filename", metavar="FILE", help="A file with a JSON array of ids, beside those given; - for stdin.")
@yes_option
def delete(ctx: click.Context, workflow: str, instance_ids: tuple[str, ...], filename: str | None, yes: bool) -> None:
    """Delete instances with their history, up to 100 at a time; one that runs is stopped, and its id is free again.

    The beginning of an id will do only where a single one is given.
    """
    ids = [*instance_ids, *(_ids_in(filename) if filename is not None else ())]
    if not ids:
        raise UsageError("No instance is given: give one ID or more, or --filename with a JSON array of ids.")
    with connect(ctx) as client:
        if len(ids) == 1:
            _delete_one(ctx, client, ids[0], yes)
        else:
            _delete_many(ctx, client, ids, yes)


def _delete_one(ctx: click.Context, client: AnyClient, id: str, yes: bool) -> None:
    instance = find_instance(ctx, client, id)
    confirm(ctx, f"Delete the {what(instance)} and its history?", yes)
    instance.delete()
    _tell(ctx, instance.workflow, [instance.id], one=True)


def _delete_many(ctx: click.Context, client: AnyClient, ids: Sequence[str], yes: bool) -> None:
    workflow = find_workflow(ctx, client, ctx.params["workflow"])
    exact = list(dict.fromkeys(workflow.latest().id if id == "latest" else id for id in ids))
    named = ", ".join(f'"{id}"' for id in exact[:_NAMED]) + (", …" if len(exact) > _NAMED else "")
    confirm(ctx, f"Delete {len(exact)} instances ({named}) from {workflow.name} and their history?", yes)
    batch = workflow.delete_batch(exact)
    _tell(ctx, workflow.name, batch.deleted, one=False)
    if batch.errors:
        ctx.meta[INSTANCE] = batch.errors[0].id
        failed = ", ".join(f'"{error.id}"' for error in batch.errors)
        refused = InstanceNotFound(f'Could not delete from "{workflow.name}": {failed}')
        for error in batch.errors:
            refused.add_note(error.message)
        raise refused


def _tell(ctx: click.Context, workflow: str, deleted: Sequence[str], *, one: bool) -> None:
    output = Output.of(ctx)
    write_done(output, [{"id": id, "workflow": workflow, "deleted": True} for id in deleted], one=one)
    if output.for_people and deleted:
        named = ", ".join(f'"{id}"' for id in deleted)
        note(f'🗑️  Deleted workflow instances from "{workflow}": {named}')


def _ids_in(filename: str) -> list[str]:
    """Raises UsageError."""
    given = read_json("-" if filename == "-" else f"@{filename}", what="instance ids")
    if not isinstance(given, list) or not all(isinstance(id, str) for id in given):
        raise UsageError(f'The file {filename!r} must hold a JSON array of ids, such as ["order-1", "order-2"].')
    return given
