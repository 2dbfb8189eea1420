"""Pages of workflows and instances; what one instance consists of is not looked at here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from orchestrator.authoring.workflow_settings import merged
from orchestrator.errors import UsageError
from orchestrator.inspection.views import InstanceView, WorkflowView
from orchestrator.names import is_text
from orchestrator.numbers import moment, optional_whole, whole
from orchestrator.serialization import decode
from orchestrator.statuses import InstanceStatus
from orchestrator.store import jobs, reading

MAX_PAGE = 10_000


def list_workflows(connection: Connection) -> list[WorkflowView]:
    counts, triggered, terminated = (
        reading.counts(connection),
        reading.triggered(connection),
        jobs.terminated(connection),
    )
    return [
        WorkflowView(
            name=row.name,
            class_name=row.class_name,
            module=row.module,
            queue=row.queue,
            created_at=row.created_at,
            seen_at=row.seen_at,
            triggered_at=triggered.get(row.name),
            instances=counts.get(row.name, {}),
            terminator_running=row.name in terminated,
            **merged(decode(row.declared), decode(row.configured)),
        )
        for row in reading.workflows(connection)
    ]


def list_instances(
    connection: Connection,
    *,
    workflow: str | None = None,
    among: Sequence[str] | None = None,
    statuses: Sequence[str] | None = None,
    limit: int = 25,
    cursor: int | None = None,
    oldest_first: bool = False,
    since: int | None = None,
    until: int | None = None,
    offset: int = 0,
) -> list[InstanceView]:
    """One page, newest first unless asked otherwise, of one workflow, of all, or of those `among` some.

    Raises UsageError for a limit or a status that there is not.
    """
    check_page(limit, statuses, cursor, since, until)
    whole(offset, "offset")
    rows = reading.page(
        connection, workflow=workflow, among=among, statuses=statuses, limit=limit, cursor=cursor,
        oldest_first=oldest_first, since=since, until=until, offset=offset,
    )  # fmt: skip
    return [InstanceView(**summary(row)) for row in rows]


def count_instances(
    connection: Connection,
    workflow: str,
    *,
    statuses: Sequence[str] | None = None,
    since: int | None = None,
    until: int | None = None,
) -> int:
    check_page(1, statuses, None, since, until)
    return reading.count(connection, workflow, statuses, since, until)


def find_instances(
    connection: Connection, workflow: str, prefix: str, limit: int, cursor: int | None = None
) -> list[InstanceView]:
    """Instances whose id begins so, newest first. Raises UsageError for a limit that there is not."""
    check_page(limit, None, cursor)
    if not is_text(prefix):
        return []
    return [InstanceView(**summary(row)) for row in reading.beginning(connection, workflow, prefix, limit, cursor)]


def check_page(
    limit: Any, statuses: Sequence[str] | None = None, before: Any = None, since: Any = None, until: Any = None
) -> None:
    """Raises UsageError for a limit or a status that there is not, and for numbers that are none."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_PAGE:
        raise UsageError(f"limit must be 1 to {MAX_PAGE:,}, not {limit!r}.")
    optional_whole(before, "before")
    moment(since, "since")
    moment(until, "until")
    for status in statuses or ():
        if status not in set(InstanceStatus):
            raise UsageError(f"There is no status called {status!r}; there are {', '.join(InstanceStatus)}.")


def summary(row: Any) -> dict[str, Any]:
    return {
        "id": row.instance_id,
        "workflow": row.workflow,
        "status": row.status,
        "run": row.run,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "modified_at": row.modified_at,
        "trigger": row.trigger,
        "cursor": row.id,
    }
