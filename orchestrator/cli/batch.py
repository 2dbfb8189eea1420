"""`orchestrator trigger --count` and `--batch`: many instances at once, a hundred to a transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli.output import Output, note
from orchestrator.cli.params import parse_json, read_text
from orchestrator.errors import InstanceAlreadyExists, OrchestratorError, UsageError

if TYPE_CHECKING:
    from orchestrator.authoring.workflow import WorkflowEntrypoint
    from orchestrator.cli.connection import AnyWorkflow

AT_ONCE = 100
MOST = 100_000
_NAMED = 10


def trigger_many(
    output: Output, workflow: AnyWorkflow, wanted: int | Sequence[Mapping[str, Any]], params: Any, **more: Any
) -> None:
    """Start them; ids that are taken are told after the others have been started. Raises InstanceAlreadyExists.

    Where a part is refused that could not be checked here, what was started before is told with it.
    """
    rows: list[dict[str, Any]] = []
    refused: list[str] = []
    stopped: OrchestratorError | None = None
    for count, instances in _parts(wanted):
        try:
            batch = workflow.create_batch(instances, count=count, params=params, **more)
        except OrchestratorError as met:
            if not rows:
                raise
            stopped = met
            break
        rows += [{"id": one.id, "workflow": one.workflow, "status": "queued"} for one in batch.created]
        refused += [error.message for error in batch.errors]
    output.rows(rows, ids=[row["id"] for row in rows], show=lambda: None)
    if output.for_people and rows:
        note(f"🚀 {len(rows):,} workflow instances have been queued successfully")
    if stopped is not None:
        stopped.add_note(f"The first {len(rows) + len(refused):,} were gone through before; {len(rows):,} are started.")
        raise stopped
    if refused:
        error = InstanceAlreadyExists(f"{len(refused):,} of {len(rows) + len(refused):,} instances were not started.")
        for message in refused[:_NAMED]:
            error.add_note(message)
        if len(refused) > _NAMED:
            error.add_note("…")
        raise error


def instances_in(file: str) -> list[dict[str, Any]]:
    """A JSON array, or a line of JSON for each: `{"id": …, "params": …}`, both optional.

    Raises UsageError, InvalidBatch, InvalidParams.
    """
    from orchestrator.client.batches import check_item

    what = f"instances in {file if file != '-' else 'stdin'}"
    text = read_text(file, what)
    if text.lstrip().startswith("["):
        found = parse_json(text, what=what)
    else:
        lines = enumerate(text.splitlines(), 1)
        found = [parse_json(line, what=f"{what}, line {number},") for number, line in lines if line.strip()]
    for number, one in enumerate(found, 1):
        check_item(one, f"Instance {number} of {'stdin' if file == '-' else Path(file).name}")
    if not found:
        raise UsageError(f"There are no {what}.")
    if len(found) > MOST:
        raise UsageError(f"There are {len(found):,} {what}; the most is {MOST:,}.")
    return list(found)


def check_all(instances: Sequence[Mapping[str, Any]], workflow: type[WorkflowEntrypoint[Any]] | str) -> None:
    """All that can be told of them here, before the first hundred are started.

    Raises InvalidInstanceId, InvalidRetention, and with the workflow's class InvalidParams.
    """
    from orchestrator.authoring.workflow import Definition
    from orchestrator.names import check_instance_id
    from orchestrator.retention import Retention

    definition = None if isinstance(workflow, str) else Definition.of(workflow)
    for number, one in enumerate(instances, 1):
        try:
            if one.get("id") is not None:
                check_instance_id(one["id"])
            if one.get("retention") is not None:
                Retention.of(one["retention"])
            if definition is not None and "params" in one:
                definition.encode_params(one["params"])
        except OrchestratorError as error:
            error.add_note(f"It is instance {number:,} of {len(instances):,}; none was started.")
            raise


def _parts(
    wanted: int | Sequence[Mapping[str, Any]],
) -> Iterator[tuple[int | None, Sequence[Mapping[str, Any]] | None]]:
    if isinstance(wanted, int):
        for start in range(0, wanted, AT_ONCE):
            yield min(AT_ONCE, wanted - start), None
    else:
        for start in range(0, len(wanted), AT_ONCE):
            yield None, wanted[start : start + AT_ONCE]
