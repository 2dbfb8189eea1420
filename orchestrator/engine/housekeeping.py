"""Removes what was kept for long enough, and what removed instances have left, a little at a time, beside the work."""

from __future__ import annotations

from sqlalchemy import Connection

from orchestrator.engine import jobs
from orchestrator.engine.admission import Desk
from orchestrator.engine.runtime import Runtime
from orchestrator.store import access, agenda, answers, instances, removals, rollups
from orchestrator.store.driver import Row

BATCH = 100
"""Instances to remove in one transaction."""
ROWS = 2000
"""Rows to delete in one transaction: few enough that nobody who works waits for it noticeably."""


def tidy(runtime: Runtime, due: Row | None = None) -> bool:
    """One round. Whether there is more to do at once. `due`: what the agenda says, if it has been asked."""
    database, now = runtime.database, runtime.clock.now_ms()
    if due is None:
        with database.read() as connection:
            due = agenda.housework(connection)
    more = False
    if due.jobs is not None and due.jobs <= now:
        more = jobs.go_on(Desk(database, runtime.settings, runtime.doorbell, runtime.notifier))
    last_answer = now - runtime.settings.answer_memory_ms
    if due.answers is not None and due.answers < last_answer:
        more = database.statement(lambda c: answers.forget(c, last_answer, ROWS)) == ROWS or more
    last_entry = now - runtime.settings.keep_audit_ms
    if due.audit is not None and due.audit < last_entry:
        more = database.statement(lambda c: access.forget_audit(c, last_entry, ROWS)) == ROWS or more
    if due.expiries is not None and due.expiries <= now:
        more = database.transaction(lambda c: _expire(c, now)) == BATCH or more
        due_removals: int | None = 0
    else:
        due_removals = due.removals
    if due_removals is not None:
        more = database.transaction(lambda c: removals.take_down(c, instances=BATCH, rows=ROWS)) > 0 or more
    last_hour = now - rollups.HOUR_MS - runtime.settings.keep_aggregates_ms
    if due.numbers is not None and due.numbers <= last_hour:
        more = database.transaction(lambda c: rollups.forget(c, until=last_hour, limit=ROWS)) == ROWS or more
    return more


def _expire(connection: Connection, now: int) -> int:
    keys = instances.expired(connection, now=now, limit=BATCH)
    instances.remove(connection, keys)
    return len(keys)
