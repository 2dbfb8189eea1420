"""Finds what is due, unanswered or left behind by the dead, and rings for it; it never runs workflow code.

Any number of pumps may run, without a leader: each takes its rows with a lock that the others skip.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from orchestrator.doorbell import Ring, together
from orchestrator.engine import schedules, slots
from orchestrator.engine.runtime import Runtime, process_of, this_host
from orchestrator.errors import OrchestratorError, StepTimeoutError, WorkerLostError
from orchestrator.serialization import encode, encode_error
from orchestrator.statuses import StepKind
from orchestrator.store import agenda, attempts, instances, streams, timers, workers
from orchestrator.store.database import Database

log = logging.getLogger(__name__)

BATCH = 500
SLEEPS = (StepKind.SLEEP, StepKind.TIMER)
CHUNKS = 8
"""Chunks of a stream to delete in one transaction. SQLite has to walk through the pages of each: about 5 ms a chunk."""


def tick(runtime: Runtime) -> int:
    """Do what is due now. How long until something is due again, in ms, at most the pump's period."""
    database, settings = runtime.database, runtime.settings
    now = runtime.clock.now_ms()
    with database.read() as connection:
        due = agenda.upcoming(connection)
    if due.heartbeats is not None and due.heartbeats < now - settings.lease_ms:
        bury(database, lease_ms=settings.lease_ms)
    if _is_due(due.deadlines, now):
        fail_overdue(runtime)
    rings: list[Ring] = []
    unanswered: Sequence[Any] = ()
    grace = max(settings.grace_ms, 1)
    if _is_due(due.timers, now):
        found = database.transaction(lambda c: timers.due_to_ring(c, now=now, grace=grace, limit=BATCH))
        rings += _of_timers(found, now, settings.wake_ahead_ms)
    if _is_due(due.instances, now) or due.heartbeats is None or due.heartbeats < now - settings.lease_ms:
        unanswered = database.transaction(lambda c: instances.due_to_ring(c, now=now, grace=grace, limit=BATCH))
        rings += [Ring(row.id, row.queue) for row in unanswered]
    if _is_due(due.ready, now):
        found = database.transaction(lambda c: attempts.due_to_ring(c, now=now, grace=grace, limit=BATCH))
        rings += [Ring(row.instance_id, row.queue, "run_step") for row in found]
    runtime.limited = frozenset(due.limited.split(",")) if due.limited else frozenset()
    runtime.step_limits = _limits(due.step_limits)
    if due.in_line is not None:
        rings += slots.let_in(database, now=now, grace_ms=grace)
    if _is_due(due.schedules, now):
        rings += schedules.fire_due(database, settings, now, grace_ms=grace)
    failures = runtime.doorbell.failures
    runtime.ring(*rings)
    runtime.ears.rang(
        unanswered, queues=runtime.queues, idle=runtime.idle, published=runtime.doorbell.failures == failures
    )
    cleared = 0
    if due.streams is not None:
        cleared = database.transaction(lambda c: streams.purge(c, limit=CHUNKS))
    if len(rings) >= BATCH:
        return 0
    return _until_next(due, now, settings.pump_ms, bool(rings or cleared))


def _of_timers(rows: Sequence[Any], now: int, ahead_ms: int) -> list[Ring]:
    """One message for many that are due at one moment: it costs more than to wake them. Those that sleep hear of it before
    that, as a claim and a replay take them longer than to go on (see engine.early)."""
    sleeps: list[Ring] = []
    others: list[Ring] = []
    for row in rows:
        ring = Ring(row.instance_id, row.queue, delay_ms=max(row.due_at - now, 0))
        (sleeps if row.kind in SLEEPS else others).append(ring)
    early = [
        replace(ring, delay_ms=max(ring.delay_ms - ahead_ms, 0)) if ring.others else ring for ring in together(sleeps)
    ]
    return [*early, *together(others)]


def bury(database: Database, *, lease_ms: int = 0, known: Sequence[str] | None = None) -> list[str]:
    """Free what dead workers held: their instances for others, their attempts as failed. Who was buried.

    Dead are those `known` to be, or those whose last heartbeat is older than the lease. Each instance is a transaction
    of its own, which takes nothing that has changed hands, so that several pumps may bury the same worker and one that
    is cut short is followed by another: the worker's row goes last.
    """
    now = database.clock.now_ms()
    with database.read() as connection:
        dead = list(known) if known is not None else workers.dead(connection, before=now - lease_ms)
        held = [(worker, instances.held_by(connection, worker)) for worker in dead]
        running = [(worker, attempts.of_worker(connection, worker)) for worker in dead]
    for worker, claims in held:
        for row in claims:
            database.statement(
                lambda c: instances.free(c, id=row.id, fence=row.fence, worker=worker, now=now)  # noqa: B023
            )
    for worker, rows in running:
        for row in rows:
            _fail(database, row, WorkerLostError(), now)
        database.statement(lambda c: streams.drop_of_worker(c, worker))  # noqa: B023
        database.statement(lambda c: workers.remove(c, worker))  # noqa: B023
    for (worker, claims), (_, rows) in zip(held, running, strict=True):
        log.warning("worker %s is dead: %d instances and %d attempts are free again", worker, len(claims), len(rows))
    return dead


def bury_processes(database: Database, pid: int | None = None) -> list[str]:
    """Free at once what processes of this host held that are known to be gone: the one of a pid whose parent saw it
    die, or, on SQLite, whose workers all share this host, every one that no longer runs."""
    if pid is None and not database.is_sqlite:
        return []
    with database.read() as connection:
        listed = [worker.id for worker in workers.all_(connection)]
    dead = [worker for worker in listed if _is_dead(worker, pid)]
    return bury(database, known=dead) if dead else []


def fail_overdue(runtime: Runtime) -> None:
    """Attempts past their deadline have failed, whatever their body goes on to do."""
    now = runtime.clock.now_ms()
    with runtime.database.read() as connection:
        overdue = attempts.overdue(connection, now=now, limit=BATCH)
    failed = [
        _fail(runtime.database, row, StepTimeoutError.after(row.deadline_at - row.started_at), now) for row in overdue
    ]
    runtime.ring(*(ring for ring in failed if ring is not None))


def _fail(database: Database, attempt: Any, error: OrchestratorError, now: int) -> Ring | None:
    """Fail an attempt over its worker's head; the ring for its instance, if nobody holds that.

    The instance is locked first, as everywhere (see store.attempts).
    """

    def work(connection: Connection) -> Ring | None:
        if instances.lock(connection, attempt.instance_id) is None:
            return None
        attempts.fail_running(connection, attempt.id, error=encode(encode_error(error)), now=now)
        row = instances.want(connection, attempt.instance_id, ring_at=now)
        return None if row is None or row.holder is not None else Ring(attempt.instance_id, row.queue)

    return database.transaction(work)


def _limits(listed: str | None) -> dict[str, int]:
    """`name=limit,name=limit`, as the database lists them."""
    pairs = (each.split("=") for each in listed.split(",")) if listed else ()
    return {name: int(limit) for name, limit in pairs}


def _is_due(moment: int | None, now: int) -> bool:
    return moment is not None and moment <= now


def _until_next(due: Any, now: int, period_ms: int, busy: bool) -> int:
    if busy:
        return min(period_ms, 20)
    upcoming: list[int] = [
        m for m in (due.instances, due.timers, due.ready, due.deadlines, due.schedules) if m is not None
    ]
    return max(min([period_ms, *(moment - now for moment in upcoming)]), 1)


def _is_dead(worker: str, known_pid: int | None) -> bool:
    host, pid = process_of(worker)
    if host != this_host():
        return False
    if known_pid is not None:
        return pid == known_pid
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
