"""SQL of what a holder has missed of its instance; it decides nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from orchestrator.store import attempts, steps, timers
from orchestrator.store.driver import Row
from orchestrator.store.sql import IS_HELD, Statement, together

_ATTEMPTS = Statement("""
    SELECT a.instance_id, a.id, key, position, attempt, state, a.queue, worker, config, a.started_at, deadline_at,
        a.ended_at, a.error
    FROM @instances i JOIN @attempts a ON a.instance_id = i.id AND a.run = i.run
    WHERE i.id IN :ids ORDER BY a.id
""", "ids")  # fmt: skip
_TIMERS = Statement("""
    SELECT instance_id, key, kind, position, event_type, started_at, due_at FROM @timers
    WHERE instance_id IN :ids ORDER BY instance_id, position
""", "ids")  # fmt: skip
_JOURNALS = Statement(f"""
    SELECT i.id AS instance_id, s.seq, s.key, s.position, s.result, s.error, s.ended_at
    FROM {{json_rows}} JOIN @instances i ON i.id = CAST(value ->> 'id' AS bigint)
        AND i.fence = CAST(value ->> 'fence' AS bigint) AND {IS_HELD}
    LEFT JOIN @steps s ON s.instance_id = i.id AND s.run = i.run AND s.seq > CAST(value ->> 'after' AS bigint)
    ORDER BY i.id, s.seq
""")


class Missed(NamedTuple):
    """What is to be read of an instance, looked at in this order."""

    after: int
    """The journal from the entry after this number on."""
    attempts: Sequence[Row]
    timers: Sequence[Row]
    journal: Sequence[Row]


def read(connection: Connection, *, fence: int, id: int, run: int, after: int) -> Missed | None:
    """What an instance has that its holder has not seen yet; None: the fence has moved on."""
    instance = {"id": id}
    tried, waiting, written = together(
        connection,
        (attempts.OF_RUN, {**instance, "run": run}),
        (timers.OF_INSTANCE, instance),
        (steps.JOURNAL_FENCED, {**instance, "run": run, "after": after, "fence": fence}),
    )
    if not written.rows:
        return None
    return Missed(after, tried.rows, waiting.rows, [row for row in written.rows if row.seq is not None])


def read_all(connection: Connection, claims: Sequence[tuple[int, int, int]]) -> dict[int, Missed]:
    """The same of many, each as (id, fence, after), in three statements; without those whose fence has moved on."""
    ids = [id for id, _, _ in claims]
    asked = json.dumps([{"id": id, "fence": fence, "after": after} for id, fence, after in claims])
    tried, waiting, written = together(
        connection, (_ATTEMPTS, {"ids": ids}), (_TIMERS, {"ids": ids}), (_JOURNALS, {"rows": asked})
    )
    held = {row.instance_id for row in written}
    entries = _by_instance(row for row in written if row.seq is not None)
    tries, waits = _by_instance(tried), _by_instance(waiting)
    return {
        id: Missed(after, tries.get(id, ()), waits.get(id, ()), entries.get(id, ()))
        for id, _, after in claims
        if id in held
    }


def _by_instance(rows: Iterable[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row.instance_id, []).append(row)
    return found
