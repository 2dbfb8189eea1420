"""One action on one or more instances: what is asked before, told after each, and left when some of them fail."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.connection import connect, find_instance
from orchestrator.cli.output import Output, is_terminal, note
from orchestrator.errors import OrchestratorError, SetupError, UsageError

if TYPE_CHECKING:
    from orchestrator.cli.connection import AnyInstance
    from orchestrator.client import InstanceState

Act = Callable[["AnyInstance"], "InstanceState"]


def act_on(
    ctx: click.Context,
    ids: Sequence[str],
    do: Act,
    told: str,
    *,
    question: str | None = None,
    yes: bool = False,
    watch: bool = False,
) -> None:
    """Do it to each; nothing is done to any unless all are found.

    `told` and `question` have `{what}` for the instance. Raises UsageError, and what the first that failed raised.
    """
    if watch and len(ids) > 1:
        raise UsageError("--watch follows one instance; give one ID with it.")
    output = Output.of(ctx)
    with connect(ctx) as client:
        chosen = [find_instance(ctx, client, id) for id in dict.fromkeys(ids)]
        if question is not None:
            confirm(ctx, question.format(what=what_all(chosen)), yes)
        done: list[dict[str, Any]] = []
        failed: list[tuple[str, OrchestratorError]] = []
        for instance in chosen:
            try:
                state = do(instance)
            except SetupError:
                raise
            except OrchestratorError as error:
                failed.append((instance.id, error))
                continue
            done.append({"id": instance.id, "workflow": instance.workflow, "status": str(state.status)})
            if output.for_people:
                note(told.format(what=what(instance)))
        if watch and not failed:
            from orchestrator.cli.progress import watch as follow

            follow(ctx, chosen[0], None)
            return
        write_done(output, done, one=len(chosen) == 1)
    raise_failures(failed, len(chosen))


def write_done(output: Output, done: Sequence[dict[str, Any]], *, one: bool) -> None:
    """One object for one instance, a list for several, whatever became of them."""
    if one:
        for data in done:
            output.record(data, id=data["id"], show=lambda: None)
    else:
        output.rows(done, ids=[data["id"] for data in done], show=lambda: None)


def raise_failures(failed: Sequence[tuple[str, OrchestratorError]], asked: int) -> None:
    """The first error, with the others noted beside it."""
    if not failed:
        return
    (first, error), *others = failed
    if asked > 1:
        error.add_note(f'This is said of "{first}"; {len(failed)} of {asked} failed, the others were done.')
    for id, other in others:
        error.add_note(f'"{id}": {other.message}')
    raise error


def what(instance: AnyInstance) -> str:
    return f'instance "{instance.id}" from {instance.workflow}'


def what_all(instances: Sequence[AnyInstance]) -> str:
    if len(instances) == 1:
        return what(instances[0])
    named = ", ".join(f'"{instance.id}"' for instance in instances)
    return f"{len(instances)} instances {named} from {instances[0].workflow}"


def confirm(ctx: click.Context, question: str, yes: bool) -> None:
    """Raises UsageError where nobody can be asked; a no ends the command."""
    if yes:
        return
    if not _somebody_is_there():
        raise UsageError(f"{question} Nobody can be asked here, as this is not a terminal: give --yes to do it.")
    if not click.confirm(question, err=True):
        note("Nothing was changed.")
        ctx.exit(1)


def _somebody_is_there() -> bool:
    return sys.stdin.isatty() and is_terminal(stderr=True)
