"""SQL of the numbers: ended runs that are still to be counted, and what was counted, by hour; it decides nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection

from orchestrator.statuses import FINITE, StepKind
from orchestrator.store.driver import Row
from orchestrator.store.schema import BUCKET_BOUNDS_MS, BUCKETS
from orchestrator.store.sql import Statement

HOUR_MS = 3_600_000
WORKFLOW, STARTED = "workflow", "started"
"""The kind under which runs are counted, and that they have started, which is none of their outcomes."""
COMPLETE, ERRORED = "complete", "errored"
"""The outcomes of steps."""
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
_BUCKET = " ".join(f"WHEN ms <= {bound} THEN {number}" for number, bound in enumerate(BUCKET_BOUNDS_MS))
_NUMBERS = Statement(f"""
    WITH runs AS {{materialized}} (
        SELECT e.* FROM {{json_rows}} JOIN @ended e
            ON e.instance = CAST(value ->> 0 AS bigint) AND e.run = CAST(value ->> 1 AS bigint)),
    spans AS (
        SELECT r.workflow, s.key, CASE WHEN s.error IS NULL THEN '{COMPLETE}' ELSE '{ERRORED}' END AS outcome,
            s.ended_at AS at, {{greatest}}(s.ended_at - s.started_at, 0) AS ms, s.attempts
        FROM runs r JOIN @steps s ON s.instance_id = r.instance AND s.run = r.run
        WHERE s.ended_at >= r.started_at AND s.key NOT LIKE '{StepKind.TIMER}:%'
        UNION ALL
        SELECT workflow, '{WORKFLOW}::0', status, ended_at,
            {{greatest}}(ended_at - coalesce(started_at, ended_at), 0), 0 FROM runs
        UNION ALL
        SELECT workflow, '{WORKFLOW}::0', '{STARTED}', started_at, NULL, 0 FROM runs WHERE started_at IS NOT NULL)
    SELECT at - at % {HOUR_MS} AS hour, workflow, min(key) AS key, outcome,
        CASE WHEN ms IS NULL THEN NULL {_BUCKET} ELSE {len(BUCKET_BOUNDS_MS)} END AS bucket, count(*) AS times,
        CAST(coalesce(sum(ms), 0) AS bigint) AS sum_ms, coalesce(min(ms), 0) AS min_ms, coalesce(max(ms), 0) AS max_ms,
        CAST(sum(attempts) AS bigint) AS attempts
    FROM spans GROUP BY 1, workflow, rtrim(key, '0123456789'), outcome, 5 ORDER BY 1, 2, 3
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


def numbers(connection: Connection, runs: Sequence[tuple[int, int]]) -> Sequence[Row]:
    """What these (instance, run) of the list add: themselves and their steps, by hour, workflow, kind and name (which are
    in `key`, with any of its occurrences), outcome and bucket, NULL where that is the start of a run. Without asyncio's
    own timers, and without what a restart has taken over: that was counted with its own run."""
    return _NUMBERS(connection, rows=json.dumps(runs)).all()


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
