"""SQL behind lists and details: what people look at, newest first, paged by key; it is never part of running anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from orchestrator.store.driver import Row
from orchestrator.store.sql import Statement

_SUMMARY = "id, workflow, instance_id, status, run, created_at, started_at, ended_at, modified_at, trigger"
_WANTED = "(:any_status = 1 OR status IN :statuses) AND created_at >= :since AND created_at <= :until"
_NEWEST = Statement(
    f"SELECT {_SUMMARY} FROM @instances WHERE workflow = :workflow AND {_WANTED} "
    "AND id < :before ORDER BY id DESC LIMIT :limit OFFSET :offset",
    "statuses",
)
_OLDEST = Statement(
    f"SELECT {_SUMMARY} FROM @instances WHERE workflow = :workflow AND {_WANTED} "
    "AND id > :after ORDER BY id LIMIT :limit OFFSET :offset",
    "statuses",
)
_AMONG = "(:any_workflow = 1 OR workflow IN :workflows)"
_NEWEST_OF_ALL = Statement(
    f"SELECT {_SUMMARY} FROM @instances WHERE {_WANTED} AND {_AMONG} AND id < :before "
    "ORDER BY id DESC LIMIT :limit OFFSET :offset",
    "statuses",
    "workflows",
)
_OLDEST_OF_ALL = Statement(
    f"SELECT {_SUMMARY} FROM @instances WHERE {_WANTED} AND {_AMONG} AND id > :after "
    "ORDER BY id LIMIT :limit OFFSET :offset",
    "statuses",
    "workflows",
)
_COUNT = Statement(f"SELECT count(*) AS n FROM @instances WHERE workflow = :workflow AND {_WANTED}", "statuses")
# Not LIKE, in which `_` means any character, and no range, which collations would order in ways of their own.
_BEGINNING = Statement(
    f"SELECT {_SUMMARY} FROM @instances WHERE workflow = :workflow AND substr(instance_id, 1, :length) = :prefix "
    "AND id < :before ORDER BY id DESC LIMIT :limit"
)
_DETAIL = Statement(
    f"SELECT {_SUMMARY}, params, output, error, rollback, queue, wanted, paused_at, place, holder, version "
    "FROM @instances WHERE id = :id"
)
_STEPS = Statement("""
    SELECT key, position, result, error, config, attempts, started_at, ended_at, worker FROM @steps
    WHERE instance_id = :id AND run = :run ORDER BY position
""")
_STEP = Statement("""
    SELECT key, position, result, error, config, attempts, started_at, ended_at, worker FROM @steps
    WHERE instance_id = :id AND run = :run AND key = :key
""")
_LATEST = Statement("SELECT id, instance_id FROM @instances WHERE workflow = :workflow ORDER BY id DESC LIMIT 1")
_WORKFLOWS = Statement("""
    SELECT name, class_name, module, queue, created_at, seen_at, declared, configured FROM @workflows ORDER BY name
""")
_COUNTS = Statement("SELECT workflow, status, count(*) AS n FROM @instances GROUP BY workflow, status")
_TRIGGERED = Statement("SELECT workflow, max(created_at) AS at FROM @instances GROUP BY workflow")

NEVER = 2**62


def page(
    connection: Connection,
    *,
    workflow: str | None,
    among: Sequence[str] | None = None,
    statuses: Sequence[str] | None,
    limit: int,
    cursor: int | None,
    oldest_first: bool,
    since: int | None = None,
    until: int | None = None,
    offset: int = 0,
) -> Sequence[Row]:
    """Instances before (or after, oldest first) the cursor, an instance's key; `since` and `until` are inclusive.

    Of one workflow, or of all of them, or of those `among` some.
    """
    values = _wanted(statuses, since, until) | {"limit": limit, "offset": offset}
    if oldest_first:
        values["after"] = cursor or 0
        statement = _OLDEST_OF_ALL if workflow is None else _OLDEST
    else:
        values["before"] = NEVER if cursor is None else cursor
        statement = _NEWEST_OF_ALL if workflow is None else _NEWEST
    if workflow is not None:
        values["workflow"] = workflow
    else:
        values |= {"any_workflow": int(among is None), "workflows": list(among or [""])}
    return statement(connection, values).all()


def count(
    connection: Connection, workflow: str, statuses: Sequence[str] | None, since: int | None, until: int | None
) -> int:
    found: int = _COUNT(connection, _wanted(statuses, since, until) | {"workflow": workflow}).scalar_one()
    return found


def _wanted(statuses: Sequence[str] | None, since: int | None, until: int | None) -> dict[str, Any]:
    return {
        "statuses": list(statuses or [""]),
        "any_status": int(not statuses),
        "since": 0 if since is None else since,
        "until": NEVER if until is None else until,
    }


def beginning(
    connection: Connection, workflow: str, prefix: str, limit: int, cursor: int | None = None
) -> Sequence[Row]:
    """The newest instances whose id begins so, before the cursor."""
    before = NEVER if cursor is None else cursor
    return _BEGINNING(
        connection, workflow=workflow, prefix=prefix, length=len(prefix), before=before, limit=limit
    ).all()


def detail(connection: Connection, id: int) -> Row | None:
    return _DETAIL(connection, id=id).one_or_none()


def steps_of(connection: Connection, id: int, run: int) -> Sequence[Row]:
    return _STEPS(connection, id=id, run=run).all()


def step_of(connection: Connection, id: int, run: int, key: str) -> Sequence[Row]:
    """As steps_of, of one step: one row or none."""
    return _STEP(connection, id=id, run=run, key=key).all()


def latest(connection: Connection, workflow: str) -> Row | None:
    return _LATEST(connection, workflow=workflow).one_or_none()


def workflows(connection: Connection) -> Sequence[Row]:
    return _WORKFLOWS(connection).all()


def counts(connection: Connection) -> dict[str, dict[str, int]]:
    """How many instances each workflow has in each status."""
    found: dict[str, dict[str, int]] = {}
    for row in _COUNTS(connection):
        found.setdefault(row.workflow, {})[row.status] = row.n
    return found


def triggered(connection: Connection) -> dict[str, int]:
    """When each workflow's newest instance was created."""
    return {row.workflow: row.at for row in _TRIGGERED(connection)}
