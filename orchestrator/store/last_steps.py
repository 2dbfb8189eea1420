"""SQL that adds the last step of an instance to its journal and ends the instance with it; it decides nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from orchestrator.statuses import InstanceStatus
from orchestrator.store import alike, hot, instances
from orchestrator.store.sql import IS_HELD, Statement

_TYPES = dict(zip(hot.COLUMNS, hot.TYPES_PG, strict=True))

# The row is locked first and joined to what ends it, so that it is ended as the lock has found it.
_END_PG = Statement(f"""
    WITH me AS {{materialized}} (
        SELECT id AS me_id, wanted AS found, status AS before, rollback AS undoing FROM @instances
        WHERE id = :step_instance_id AND fence = :fence AND holder IS NOT NULL {{lock}}),
    inserted AS (
        INSERT INTO @steps ({", ".join(hot.COLUMNS)})
        SELECT {", ".join(f"CAST(:step_{name} AS {type_})" for name, type_ in _TYPES.items())} FROM me RETURNING seq),
    finished AS (
        UPDATE @instances SET {instances.AT_THE_END} FROM me
        WHERE id = me_id AND found = :wanted AND undoing IS NULL
        RETURNING id, @instances.run, workflow, status, @instances.started_at, @instances.ended_at),
    noted AS (INSERT INTO @ended (instance, run, workflow, status, started_at, ended_at) SELECT * FROM finished)
    SELECT found AS wanted, before AS status, (SELECT seq FROM inserted) AS seq,
        (SELECT count(*) FROM finished) = 1 AS ended
    FROM me
""")
# The same for several instances at once, of which each brings its own values.
_GIVEN = {f"step_{name}": type_ for name, type_ in _TYPES.items()} | {
    "fence": "bigint", "wanted": "bigint", "status": "text", "output": "text", "error": "text", "now": "bigint",
    "keep_ms": "bigint", "version": "text", "errored": "integer",
}  # fmt: skip
_END_EACH_PG = Statement(f"""
    me AS {{materialized}} (
        SELECT asked.*, i.id AS me_id, i.wanted AS found, i.status AS before, i.rollback AS undoing
        FROM asked JOIN @instances i ON i.id = g_step_instance_id
        WHERE i.fence = g_fence AND {IS_HELD} ORDER BY i.id {{lock}} OF i),
    inserted AS (
        INSERT INTO @steps ({", ".join(hot.COLUMNS)})
        SELECT {", ".join(f"g_step_{name}" for name in _TYPES)} FROM me ORDER BY n RETURNING instance_id, seq),
    finished AS (
        UPDATE @instances SET {re.sub(r":(?=[a-z])", "g_", instances.AT_THE_END)} FROM me
        WHERE id = me_id AND found = g_wanted AND undoing IS NULL
        RETURNING id, @instances.run, workflow, @instances.status, @instances.started_at, @instances.ended_at),
    noted AS (INSERT INTO @ended (instance, run, workflow, status, started_at, ended_at) SELECT * FROM finished)
    SELECT max(n), max(found), max(before), max(seq), bool_or(ended) FROM (
        SELECT me_id AS id, n, found, before, NULL::bigint AS seq, false AS ended FROM me
        UNION ALL SELECT instance_id, NULL, NULL, NULL, seq, false FROM inserted
        UNION ALL SELECT id, NULL, NULL, NULL, NULL, true FROM finished) AS each_one GROUP BY id
""")
alike.offer(_END_PG.text("postgresql"), alike.given(_GIVEN) + _END_EACH_PG.text("postgresql"), list(_GIVEN))


def end_with(
    connection: Connection,
    *,
    fence: int,
    wanted: int,
    row: Mapping[str, Any],
    output: str,
    now: int,
    keep_ms: int,
    version: str | None,
) -> tuple[int, str, int, bool] | None:
    """Add `row` to the journal if the fence still stands, and end the instance with `output` if there is no news either.

    (wanted, status, seq, whether it has ended), of which the first tells whether there was; None: the fence has moved.
    """
    end: dict[str, Any] = {
        "status": InstanceStatus.COMPLETE,
        "output": output,
        "error": None,
        "now": now,
        "keep_ms": keep_ms,
        "version": version,
    }
    if connection.dialect.name == "postgresql":
        values = {f"step_{column}": row[column] for column in hot.COLUMNS}
        found = _END_PG(connection, {**values, **end, "fence": fence, "wanted": wanted, "errored": 0}).one_or_none()
        return None if found is None else tuple(found)
    held = hot.insert_fenced(connection, row["instance_id"], fence, [tuple([row[column] for column in hot.COLUMNS])])
    if held is None:
        return None
    ended = held[0] == wanted and instances.finish(connection, id=row["instance_id"], fence=fence, **end)
    return *held, ended
