"""Makes the function of an instance from its row; it drives nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from orchestrator.authoring.views import EventSchedule, WorkflowEvent
from orchestrator.authoring.workflow import Definition
from orchestrator.engine import inside
from orchestrator.engine.earlier_runs import Ancestry
from orchestrator.engine.streams import reader
from orchestrator.names import schedule_of
from orchestrator.replay.run import WorkflowRun
from orchestrator.statuses import TRIGGER_CRON
from orchestrator.store.database import Database


def new_run(
    database: Database, definition: Definition, row: Any, past: Ancestry, step_limit: int | None = None
) -> WorkflowRun:
    """The function of an instance at its start. Raises InvalidParams if the stored params do not fit its type."""
    fired = schedule_of(row.instance_id) if row.trigger == TRIGGER_CRON else None
    event = WorkflowEvent(
        payload=definition.decode_params(row.params),
        timestamp=datetime.fromtimestamp(row.created_at / 1000, UTC),
        instance_id=row.instance_id,
        workflow_name=row.workflow,
        schedule=None if fired is None else EventSchedule(*fired),
    )
    # Any number will do for the seed that differs between instances, and is the same for every replay of this run and
    # of those that were begun in the middle of it.
    seed = (row.id << 16) ^ (row.created_at << 1) ^ past.first_run
    outside = inside.enter((database.url, inside.Known(row.id, row.workflow, row.instance_id, row.created_at)))
    try:
        return WorkflowRun(
            definition, event, seed=seed, now_ms=past.started_at, read_chunk=reader(database.origin),
            step_limit=step_limit,
        )  # fmt: skip
    finally:
        inside.leave(outside)
