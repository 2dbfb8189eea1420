"""What the shell offers while a name or id is typed: looked up briefly, and nothing at all where that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from orchestrator.cli.connection import AnyClient

_MOST = 50


def workflow_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _offered(ctx, incomplete, lambda client: [(view.name, view.class_name) for view in client.workflows()])


def instance_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest instances of the workflow that stands before, with what they are doing."""
    workflow = ctx.params.get("workflow")
    if not workflow:
        return []

    def find(client: AnyClient) -> Iterable[tuple[str, str]]:
        handle = client.workflow(str(workflow))
        found = handle.find(incomplete, limit=_MOST) if incomplete else handle.list(limit=_MOST)
        given = ctx.params.get(str(param.name)) or ()
        return [("latest", "the newest"), *((view.id, view.status) for view in found if view.id not in given)]

    return _offered(ctx, incomplete, find)


def _offered(
    ctx: click.Context, incomplete: str, find: Callable[[AnyClient], Iterable[tuple[str, Any]]]
) -> list[CompletionItem]:
    from orchestrator.cli.connection import connect
    from orchestrator.errors import OrchestratorError

    try:
        with connect(ctx) as client:
            rows = list(find(client))
    except OrchestratorError:
        return []  # a shell shows no errors between two keys
    return [CompletionItem(name, help=said) for name, said in rows if name.startswith(incomplete)]
