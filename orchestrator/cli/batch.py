"""`orchestrator trigger --count` and `--batch`: many instances at once, a hundred to a transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli.output import Output, note
from orchestrator.cli.params import parse_json, read_text
from orchestrator.errors import InstanceAlreadyExists, UsageError

if TYPE_CHECKING:
    from orchestrator.cli.connection import AnyWorkflow

AT_ONCE = 100
MOST = 100_000
_NAMED = 10


def trigger_many(
    output: Output, workflow: AnyWorkflow, wanted: int | Sequence[Mapping[str, Any]], params: Any, **more: Any
) -> None:
    """Start them; ids that are taken are told after the others have been started. Raises InstanceAlreadyExists."""
    rows: list[dict[str, Any]] = []
    refused: list[str] = []
    for count, instances in _parts(wanted):
        batch = workflow.create_batch(instances, count=count, params=params, **more)
        rows += [{"id": one.id, "workflow": one.workflow, "status": "queued"} for one in batch.created]
        refused += [error.message for error in batch.errors]
    output.rows(rows, ids=[row["id"] for row in rows], show=lambda: None)
    if output.for_people and rows:
        note(f"🚀 {len(rows):,} workflow instances have been queued successfully")
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


def _parts(
    wanted: int | Sequence[Mapping[str, Any]],
) -> Iterator[tuple[int | None, Sequence[Mapping[str, Any]] | None]]:
    if isinstance(wanted, int):
        for start in range(0, wanted, AT_ONCE):
            yield min(AT_ONCE, wanted - start), None
    else:
        for start in range(0, len(wanted), AT_ONCE):
            yield None, wanted[start : start + AT_ONCE]
