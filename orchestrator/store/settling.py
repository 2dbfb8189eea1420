"""SQL of what an instance's shared steps have come to, in one round trip; what becomes of a failed one is not decided here.

Every process that works at the steps of an instance holds the lock of its row for that long, one after another. In turns,
with four round trips instead, 100 `def` bodies of 50 ms over two processes: 1.15 of the processor time, and 1.4 times as
many changes of thread.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from orchestrator.store import attempts, hot, instances, schema
from orchestrator.store.driver import Answer, Row
from orchestrator.store.instances import InstanceRow
from orchestrator.store.sql import Statement, insertion, together

_ATTEMPT = f"CAST(value ->> {len(hot.COLUMNS)} AS bigint)"
_PLACE = f"CAST(value ->> {len(hot.COLUMNS) + 1} AS integer)"
"""In a row for the journal, behind what that has. Its order is kept, as a holder tells the function in that order."""
_OWN = """a.state = 'running' AND a.worker = :worker AND EXISTS (
        SELECT 1 FROM @instances i WHERE i.id = a.instance_id AND i.run = a.run
            AND i.status NOT IN ('complete', 'errored', 'terminated'))"""
_TAKE_DONE = f"DELETE FROM @attempts AS a WHERE id IN :done AND {_OWN} RETURNING id"
# In one statement where others may hand an attempt back meanwhile: what is in the journal is no attempt any more.
_SETTLE_PG = Statement(
    f"""
    WITH taken AS ({_TAKE_DONE}),
    written AS ({insertion(schema.steps, hot.COLUMNS, f"{_ATTEMPT} IN (SELECT id FROM taken)")} ORDER BY {_PLACE}
        RETURNING seq)
    SELECT id, (SELECT max(seq) FROM written) AS seq FROM taken
    """,
    "done",
)
_WRITE_SQLITE = Statement(
    insertion(schema.steps, hot.COLUMNS, f"EXISTS (SELECT 1 FROM @attempts a WHERE a.id = {_ATTEMPT} AND {_OWN})")
)
_LAST_SQLITE = Statement("SELECT last_insert_rowid()")
_TAKE_SQLITE = Statement(_TAKE_DONE, "done")
_FAIL = Statement(f"""
    UPDATE @attempts AS a SET state = 'failed', error = value ->> 1, ended_at = CAST(value ->> 2 AS bigint), deadline_at = NULL
    FROM {{json_rows}} WHERE a.id = CAST(value ->> 0 AS bigint) AND {_OWN}
    RETURNING id
""")
_WANT = Statement(
    f"""
    UPDATE @instances SET {instances.WANTED}
    WHERE id = :id AND run IN :runs AND status NOT IN ('complete', 'errored', 'terminated')
        AND (holder IS NULL OR fence <> :fence)
    """,
    "runs",
)
NOBODY = 0
"""The fence of who does not hold the instance: that of a claim is more."""


@dataclass(slots=True, frozen=True)
class Settled:
    """What it came to."""

    instance: InstanceRow | None
    """As it was before."""
    attempts: set[int]
    """Those that were still this worker's."""
    seq: int
    """Of the last of them in the journal, if any of them is there."""
    claimed: Sequence[Row]


def settle(
    connection: Connection,
    id: int,
    worker: str,
    *,
    runs: Sequence[int],
    done: Sequence[tuple[int, dict[str, Any]]],
    failed: Sequence[tuple[int, str, int]] = (),
    claim: dict[str, Any] | None = None,
    ring_at: int,
    fence: int = NOBODY,
) -> Settled:
    """Put attempts that are `done` into the journal (key, and the row there), note those that failed (key, error, when),
    claim ready ones (see attempts.claiming), if asked, and tell the holder, or note that someone must be rung; unless the
    holder is who asks, by its fence.

    Only of a run that goes on and is among `runs`, and of attempts that are this worker's. The connection is in no
    transaction, or in one that ends right after: the instance is locked until then.
    """
    asked: list[tuple[Statement, dict[str, Any]]] = [(instances.LOCK, {"id": id})]
    if done:
        rows = [[*(row[name] for name in hot.COLUMNS), attempt, place] for place, (attempt, row) in enumerate(done)]
        values = {"worker": worker, "done": [attempt for attempt, _ in done], "rows": json.dumps(rows)}
        if connection.dialect.name == "postgresql":
            asked.append((_SETTLE_PG, values))
        else:
            asked += [(_WRITE_SQLITE, values), (_LAST_SQLITE, {}), (_TAKE_SQLITE, values)]
    if failed:
        asked.append((_FAIL, {"worker": worker, "rows": json.dumps(failed)}))
    if claim is not None:
        asked.append((attempts.CLAIM_READY, claim))
    asked.append((_WANT, {"id": id, "runs": list(runs), "ring_at": ring_at, "fence": fence}))
    answers = dict(zip([statement for statement, _ in asked], together(connection, *asked), strict=True))
    return Settled(
        answers[instances.LOCK].one_or_none(),
        {
            attempt
            for statement in (_SETTLE_PG, _TAKE_SQLITE, _FAIL)
            if statement in answers
            for attempt in answers[statement].scalars()
        },
        _last(answers),
        attempts.in_order(answers[attempts.CLAIM_READY]) if claim is not None else [],
    )


def _last(answers: Mapping[Statement, Answer]) -> int:
    if (last := answers.get(_LAST_SQLITE)) is not None:
        return int(last.scalar_one())
    written = answers.get(_SETTLE_PG)
    return 0 if written is None or not written.rows else int(written.rows[0].seq)
