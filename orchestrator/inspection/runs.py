"""The runs of an instance before and after each restart, and what one of them consisted of; nothing can be done to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from orchestrator.inspection.detail import describe
from orchestrator.inspection.steps import cut_short, public_rollback, steps_of
from orchestrator.inspection.views import InstanceDetail, RunView
from orchestrator.names import split_key
from orchestrator.serialization import decode, public_error
from orchestrator.store import attempts, reading, runs


def runs_of(connection: Connection, pk: int) -> list[RunView] | None:
    """All runs, the first one first; None if the instance is gone."""
    before = runs.ended(connection, pk)
    now = reading.detail(connection, pk)
    if now is None:
        return None
    before = [row for row in before if row.run < now.run]
    begun_from = [None, *(row.next_key for row in before)]
    return [_view(row, key) for row, key in zip([*before, now], begun_from, strict=True)]


def describe_run(connection: Connection, pk: int, run: int) -> InstanceDetail | None:
    """As `describe`, for one run; None if there is no such run. Everything but the run itself is as it is now."""
    now = describe(connection, pk)
    if now is None or now.run == run:
        return now
    ended = next((row for row in runs.ended(connection, pk) if row.run == run), None)
    if ended is None:
        return None
    steps = [cut_short(step) for step in steps_of(
        reading.steps_of(connection, pk, run), attempts.of_run(connection, pk, run), ()
    )]  # fmt: skip
    view = _view(ended, None)
    return replace(
        now, run=run, status=view.status, output=view.output, error=view.error, rollback=view.rollback,
        started_at=view.started_at,
        ended_at=view.ended_at, steps=steps, step_count=len(steps), waiting_for=None, allowed_actions=[], version=run,
    )  # fmt: skip


def _view(row: Any, begun_from: str | None) -> RunView:
    return RunView(
        run=row.run,
        status=row.status,
        output=None if row.output is None else decode(row.output),
        error=None if row.error is None else public_error(row.error),
        started_at=row.started_at,
        ended_at=row.ended_at,
        rollback=public_rollback(row.rollback),
        restarted_from=None if begun_from is None else _named(begun_from),
    )


def _named(key: str) -> dict[str, Any]:
    kind, name, count = split_key(key)
    return {"name": name, "count": count, "type": kind}
