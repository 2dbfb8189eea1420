"""SQL of the numbers: ended runs that are still to be counted, and what was counted, by hour; it does no arithmetic."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection

from orchestrator.statuses import FINITE
from orchestrator.store.driver import Row
from orchestrator.store.schema import BUCKETS
from orchestrator.store.sql import Statement

HOUR_MS = 3_600_000
_COUNTERS = ("count", "sum_ms", "attempts", *BUCKETS)
_KEY = ("hour", "workflow", "kind", "step", "outcome")
_COLUMNS = (*_KEY, *_COUNTERS, "min_ms", "max_ms")
_LIVE = ", ".join(f"'{status}'" for status in sorted(FINITE))

_PENDING = Statement("""
    SELECT instance, run, workflow, status, started_at, ended_at FROM @ended ORDER BY instance, run LIMIT :limit
""")
_TAKE = Statement("""
    DELETE FROM @ended WHERE (instance, run) IN
        (SELECT CAST(value ->> 0 AS bigint), CAST(value ->> 1 AS bigint) FROM {json_rows})
""")
_STEPS = Statement("""
    SELECT s.instance_id, s.run, s.key, s.attempts, s.started_at, s.ended_at, s.error IS NULL AS succeeded
    FROM {json_rows} JOIN @steps s
        ON s.instance_id = CAST(value ->> 0 AS bigint) AND s.run = CAST(value ->> 1 AS bigint)
""")
_STEP_NAMES = Statement("SELECT DISTINCT step FROM @rollups WHERE hour = :hour AND workflow = :workflow")
_ADD = Statement(f"""
    INSERT INTO @rollups ({", ".join(_COLUMNS)}) VALUES ({", ".join(f":{name}" for name in _COLUMNS)})
    ON CONFLICT ({", ".join(_KEY)}) DO UPDATE SET
        {", ".join(f"{name} = @rollups.{name} + excluded.{name}" for name in _COUNTERS)},
        min_ms = {{least}}(@rollups.min_ms, excluded.min_ms), max_ms = {{greatest}}(@rollups.max_ms, excluded.max_ms)
""")
_FORGET = Statement("""
    WITH old AS {materialized} (
        SELECT {row} AS place FROM @rollups WHERE hour <= :until ORDER BY hour LIMIT :limit {skip_locked})
    DELETE FROM @rollups WHERE {row} IN (SELECT place FROM old) RETURNING hour
""")
_STARTED = Statement(f"""
    SELECT workflow, hour, CAST(sum(n) AS bigint) AS times FROM (
        SELECT workflow, started_at - started_at % {HOUR_MS} AS hour, count(*) AS n FROM @instances
        WHERE status NOT IN ({_LIVE}) AND started_at >= :since AND started_at < :until
            AND (:any_workflow = 1 OR workflow IN :workflows)
        GROUP BY 1, 2
        UNION ALL
        SELECT workflow, started_at - started_at % {HOUR_MS}, count(*) FROM @ended
        WHERE started_at >= :since AND started_at < :until AND (:any_workflow = 1 OR workflow IN :workflows)
        GROUP BY 1, 2) AS open
    GROUP BY workflow, hour
""", "workflows")  # fmt: skip
DIMENSIONS = {
    "hour": "hour",
    "day": f"hour - hour % {24 * HOUR_MS}",
    "workflow": "workflow",
    "step": "step",
}


def pending(connection: Connection, limit: int) -> Sequence[Row]:
    return _PENDING(connection, limit=limit).all()


def take(connection: Connection, runs: Sequence[tuple[int, int]]) -> bool:
    """Take ended runs (instance, run) off the list, for whoever counts them in the same transaction. False if another has
    taken any of them."""
    return _TAKE(connection, rows=json.dumps(runs)).rowcount == len(runs)


def steps(connection: Connection, runs: Sequence[tuple[int, int]]) -> Sequence[Row]:
    """The journals of runs (instance, run)."""
    return _STEPS(connection, rows=json.dumps(runs)).all()


def step_names(connection: Connection, hour: int, workflow: str) -> set[str]:
    return set(_STEP_NAMES(connection, hour=hour, workflow=workflow).scalars())


def add(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Add to what was counted. In the order of the key, so that two that count wait for each other in one order."""
    if rows:
        _ADD(connection, sorted(rows, key=lambda row: tuple(row[name] for name in _KEY)))


def forget(connection: Connection, *, until: int, limit: int) -> int:
    """Delete numbers of hours up to that one, the oldest first; how many rows."""
    return len(_FORGET(connection, until=until, limit=limit).all())


def started(connection: Connection, *, workflows: Sequence[str] | None, since: int, until: int) -> Sequence[Row]:
    """(workflow, hour, times) of the runs that have started and are not counted yet."""
    values = {"since": since, "until": until} | _of(workflows)
    return _STARTED(connection, values).all()


def read(
    connection: Connection, *, workflows: Sequence[str] | None, steps: bool, step: str | None, since: int, until: int,
    group_by: Sequence[str],
) -> Sequence[Row]:  # fmt: skip
    """What was counted in hours from `since` to `until`, by the dimensions, kind and outcome."""
    values: dict[str, Any] = {"since": since, "until": until, "step": step or "", "any_step": int(step is None)}
    values |= _of(workflows)
    return _read(tuple(group_by), steps)(connection, values).all()


def _of(workflows: Sequence[str] | None) -> dict[str, Any]:
    """None: of all."""
    return {"any_workflow": int(workflows is None), "workflows": list(workflows or [""])}


@lru_cache(maxsize=64)
def _read(group_by: tuple[str, ...], steps: bool) -> Statement:
    names = [f"{DIMENSIONS[name]} AS {name}_" for name in group_by]
    sums = [f"CAST(sum({name}) AS bigint) AS {'times' if name == 'count' else name}" for name in _COUNTERS]
    kind = "kind <> 'workflow'" if steps else "kind = 'workflow'"
    grouped = ", ".join([*(DIMENSIONS[name] for name in group_by), "kind", "outcome"])
    return Statement(f"""
        SELECT {", ".join([*names, "kind", "outcome", *sums])}, min(min_ms) AS min_ms, max(max_ms) AS max_ms FROM @rollups
        WHERE hour >= :since AND hour < :until AND (:any_workflow = 1 OR workflow IN :workflows)
            AND {kind} AND (:any_step = 1 OR step = :step)
        GROUP BY {grouped} ORDER BY {grouped}
    """, "workflows")  # fmt: skip
