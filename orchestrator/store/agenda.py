"""One look at what the pump has to do next, over all tables at once; it changes nothing."""

from __future__ import annotations

from sqlalchemy import Connection

from orchestrator.store.driver import Row
from orchestrator.store.sql import Statement

_NEXT = Statement("""
    SELECT (SELECT min(ring_at) FROM @instances WHERE ring_at IS NOT NULL) AS instances,
        (SELECT min(ring_at) FROM @timers WHERE ring_at IS NOT NULL) AS timers,
        (SELECT min(ring_at) FROM @attempts WHERE ring_at IS NOT NULL) AS ready,
        (SELECT min(deadline_at) FROM @attempts WHERE state = 'running') AS deadlines,
        (SELECT min(id) FROM @streams WHERE state = 'dropped') AS streams,
        (SELECT min(next_at) FROM @schedules WHERE next_at IS NOT NULL) AS schedules,
        (SELECT 1 FROM @instances WHERE place IS NOT NULL LIMIT 1) AS in_line,
        (SELECT {join_names} FROM @workflows WHERE concurrency_limit IS NOT NULL) AS limited,
        (SELECT {join_step_limits} FROM @workflows WHERE step_limit IS NOT NULL) AS step_limits,
        (SELECT min(heartbeat_at) FROM @workers) AS heartbeats
""")

_HOUSEWORK = Statement("""
    SELECT (SELECT min(expires_at) FROM @instances WHERE expires_at IS NOT NULL) AS expiries,
        (SELECT min(id) FROM @removals) AS removals,
        (SELECT min(run_at) FROM @jobs) AS jobs,
        (SELECT min(hour) FROM @rollups) AS numbers,
        (SELECT min(at) FROM @answers) AS answers,
        (SELECT at FROM @audit ORDER BY id LIMIT 1) AS audit,
        (SELECT 1 FROM @ended LIMIT 1) AS ended
""")


def upcoming(connection: Connection) -> Row:
    """When each kind of work is next due (epoch ms), None where there is none."""
    return _NEXT(connection).one()


def housework(connection: Connection) -> Row:
    """When the next ended instance may go (epoch ms), whether gone ones have left something, when a job goes on, the
    oldest hour there are numbers of, when the oldest stored answer and the oldest entry of the log of changes are of, and
    whether runs have ended that are to be counted."""
    return _HOUSEWORK(connection).one()
