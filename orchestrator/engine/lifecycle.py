"""Changing an instance's state from outside: each action is one transaction under the row lock; it runs no user code.

What is allowed when, after Cloudflare's table, with two differences: pausing a queued instance holds it back, and an
action on a finished instance is an error instead of silence. What they leave open, a rollback that is acted on, is
decided in `orchestrator.transitions`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from orchestrator.doorbell import Ring
from orchestrator.engine import publishing, rates, rollback, slots
from orchestrator.engine.admission import Desk
from orchestrator.engine.events import match_buffered
from orchestrator.errors import ActionNotAllowed, CannotRestart
from orchestrator.names import label_of, split_key, step_label
from orchestrator.statuses import FINITE, InstanceStatus
from orchestrator.store import attempts, events, history, instances, runs, streams, timers
from orchestrator.transitions import ALLOWED, allowed

_S = InstanceStatus


def pause(desk: Desk, pk: int) -> bool:
    """Let running attempts finish, start nothing new, then stand still. False if there is no such instance."""

    def work(connection: Connection, row: Any, now: int) -> bool:
        if row.status in (_S.PAUSED, _S.WAITING_FOR_PAUSE):
            return False
        _refuse_if_finite("pause", row.status)
        if row.holder is not None or attempts.running(connection, pk, row.run):
            instances.set_status(connection, pk, _S.WAITING_FOR_PAUSE, now=now)
            history.note(connection, pk, row.run, "workflow_waiting_for_pause", now)
        else:
            instances.set_status(connection, pk, _S.PAUSED, now=now, paused_at=now)
            timers.freeze(connection, pk)
            history.note(connection, pk, row.run, "workflow_paused", now)
            publishing.note(desk.settings, connection, pk, publishing.PAUSED, now)
        return True

    return _change(desk, pk, work)


def resume(desk: Desk, pk: int) -> bool:
    """Take a pause back, or go on after one: every deadline is put off by as long as it lasted."""

    def work(connection: Connection, row: Any, now: int) -> bool:
        _refuse_if_finite("resume", row.status)
        if row.status == _S.WAITING_FOR_PAUSE:
            ring_at = now + desk.grace_ms if row.holder is None else None
            status = _S.RUNNING if row.rollback is None else _S.ROLLING_BACK
            instances.set_status(connection, pk, status, now=now, ring_at=ring_at)
            history.note(connection, pk, row.run, "workflow_running", now)
        elif row.status == _S.PAUSED:
            paused_ms = now - (row.paused_at or now)
            timers.shift(connection, pk, by=paused_ms, now=now, horizon=desk.settings.horizon_ms)
            match_buffered(connection, row, now)
            status = _S.QUEUED if row.rollback is None else _S.ROLLING_BACK
            instances.set_status(connection, pk, status, now=now, ring_at=now + desk.grace_ms)
            history.note(connection, pk, row.run, "workflow_queued", now)
        else:
            return False
        return True

    return _change(desk, pk, work)


def terminate(desk: Desk, pk: int, *, undo: bool = False) -> bool:
    """End at once; what an attempt still does is ignored. `undo`: undo what it has done first, and end then.

    A rollback under way is given up by this, unless it is asked for once more. Raises ActionNotAllowed for a finished
    instance.
    """

    def work(connection: Connection, row: Any, now: int) -> bool:
        if row.status in FINITE:
            raise ActionNotAllowed(
                "terminate",
                row.status,
                ALLOWED[_S(row.status)],
                f"Cannot terminate instance since its on a finite state ({row.status}); "
                f"actions allowed now: {', '.join(ALLOWED[_S(row.status)])}.",
            )
        if undo and row.started_at is not None:
            if row.rollback is None:
                text = rollback.requested().text()
                instances.request_rollback(connection, pk, rollback=text, ring_at=now + desk.grace_ms, now=now)
            return row.rollback is None
        outcome = None if row.rollback is None else rollback.given_up(row.rollback)
        keep_ms = desk.settings.keep_ms(errored=False)
        instances.terminate(connection, pk, now=now, keep_ms=keep_ms, rollback=outcome)
        publishing.note(desk.settings, connection, pk, publishing.ENDED[_S.TERMINATED], now)
        timers.delete_all(connection, pk)
        attempts.drop_open(connection, pk)
        return True

    return _change(desk, pk, work)


def restart(desk: Desk, pk: int, from_: str | None = None) -> bool:
    """Run again with the same id and params, from the start or from the step of a key; the runs before stay readable.

    What was asked for before that step is kept; timers and events that nobody has taken are not. Raises CannotRestart.
    """

    def work(connection: Connection, row: Any, now: int) -> bool:
        if row.rollback is not None and row.status not in FINITE:
            actions = allowed(_S(row.status), undone=True)
            raise ActionNotAllowed(
                "restart",
                row.status,
                actions,
                f"Cannot restart an instance that is {row.status} and half undone: a new run would meet what is left of it. "
                f"Wait until it has ended, or terminate it; actions allowed now: {', '.join(actions)}.",
            )
        rates.check(connection, desk.settings, row.workflow, 1, now)
        position = None if from_ is None else _position(connection, row, from_)
        timers.delete_all(connection, pk)
        attempts.drop_open(connection, pk)
        events.drop_unread(connection, pk)
        if row.status not in FINITE:
            instances.note_ended(connection, pk, status="restarted", now=now)
        if position is not None:
            runs.take_over(connection, pk, row.run, before=position)
        streams.drop_others(connection, pk, row.run + 1)
        runs.restart(connection, pk, now=now, ring_at=now + desk.grace_ms, next_key=from_, next_position=position)
        history.note(connection, pk, row.run + 1, "workflow_queued", now, '{"restarted": true}')
        publishing.note(desk.settings, connection, pk, publishing.QUEUED, now)
        return True

    return _change(desk, pk, work)


def delete(desk: Desk, pk: int) -> bool:
    """Remove everything there is of an instance and stop it."""

    def work(connection: Connection, row: Any, now: int) -> bool:
        instances.delete(connection, pk)
        return True

    return _change(desk, pk, work)


def _position(connection: Connection, row: Any, key: str) -> int:
    position = runs.position_of(connection, row.id, row.run, key)
    if position is not None:
        return position
    kind, name, _ = split_key(key)
    there = [step_label(*split_key(other)[1:]) for other in runs.keys_like(connection, row.id, row.run, kind)]
    raise CannotRestart(
        f'Step "{name}" not found in execution history: run {row.run} has no {label_of(key)} of type {kind}. '
        f"It has {', '.join(there) or 'none of that type'}; a restart without a step begins from the start."
    )


def _refuse_if_finite(action: str, status: str) -> None:
    if status in FINITE:
        raise ActionNotAllowed(action, status, ALLOWED[_S(status)])


def _change(desk: Desk, pk: int, work: Callable[[Connection, Any, int], bool]) -> bool:
    """Do it under the row lock, then tell the holder and the watchers. False if there is no such instance."""

    def locked(connection: Connection) -> tuple[Any, bool]:
        row = instances.lock(connection, pk)
        return (None, False) if row is None else (row, work(connection, row, desk.clock.now_ms()))

    row, changed = desk.database.transaction(locked)
    if changed:
        rings = [Ring(pk, row.queue)]
        if row.status in slots.OCCUPYING:
            rings += slots.freed(desk.database, row.workflow, now=desk.clock.now_ms(), grace_ms=desk.grace_ms)
        desk.doorbell.ring(rings)
        desk.notifier.changed(pk)
    return row is not None
