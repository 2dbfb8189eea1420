"""Writes under a holder's fence: what bodies have come to goes into the journal, then to the function; it runs no body."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from orchestrator.doorbell import Ring
from orchestrator.engine import ahead, endings
from orchestrator.engine.book import Failed, Waiting
from orchestrator.engine.completions import attempt_row, row_id, step_row
from orchestrator.engine.orders import Order, Report
from orchestrator.engine.retries import AskDelay, Retry, after_failure
from orchestrator.interrupts import Superseded
from orchestrator.replay.journal import UNREAD, Entry
from orchestrator.serialization import encode
from orchestrator.settings import Settings
from orchestrator.statuses import RETRY, AttemptState
from orchestrator.store import attempts, instances, settling, steps, timers

if TYPE_CHECKING:
    from orchestrator.engine.activation import Activation


@dataclass(slots=True)
class Line:
    """A row for the journal, with what the function is to be told."""

    row: dict[str, Any]
    value: Any = UNREAD
    error: dict[str, Any] | None = None

    def entry(self) -> Entry:
        row = self.row
        return Entry(row["key"], row["position"], row["ended_at"], row["result"], self.error, self.value)


def commit(activation: Activation, reports: list[Report]) -> bool:
    """Write reports that came together in one transaction, and let the function go on with them.

    True if the instance has ended with them. Raises Superseded if the fence has moved on; then nothing was written.
    """
    expected = [report for report in reports if _take_out(activation, report)]
    if not expected:
        return False
    activation.committing = [report.order for report in expected]
    ended = _commit(activation, expected)
    activation.committing = []
    return ended


def _commit(activation: Activation, expected: list[Report]) -> bool:
    done = all(report.error is None for report in expected)
    if done and all(report.order.row_id is not None for report in expected):
        _settle(activation, expected)
        return False
    if done and all(report.order.row_id is None for report in expected):
        lines = [_line(activation, report) for report in expected]
        goes_ahead = ahead.is_possible(activation, lines)
        if goes_ahead and ahead.may_be_last(activation):
            return ahead.commit(activation, lines[0])
        write_lines(activation, lines, goes_ahead=goes_ahead)
        return False
    retries = {id(report): _retry_of(report) for report in expected}
    now = activation.runtime.clock.now_ms()  # one for both: what is due by one and not by the other would be done twice
    write(activation, lambda connection: _write_reports(activation, connection, expected, retries, now))
    for report in expected:
        if (retry := retries[id(report)]) is not None:
            _note_retry(activation, report, retry, now)
    return False


def _settle(activation: Activation, reports: list[Report]) -> None:
    """For steps that were put up for everybody: what whoever else runs them does, and the function is told at once."""
    runtime, identity, worker = activation.runtime, activation.identity, activation.runtime.worker_id
    lines = {row_id(report): _line(activation, report) for report in reports}
    settled = runtime.database.origin.statement(
        lambda connection: settling.settle(
            connection, identity.pk, worker, runs=[identity.run], done=[(id, line.row) for id, line in lines.items()],
            ring_at=runtime.clock.now_ms() + max(runtime.settings.grace_ms, 1), fence=activation.fence,
        )
    )  # fmt: skip
    row = settled.instance
    if row is None or row.holder is None or row.fence != activation.fence:
        raise Superseded
    if settled.attempts:
        stored = [line for id, line in lines.items() if id in settled.attempts]
        _deliver(activation, (row.wanted, row.status, settled.seq), stored)


def write_lines(activation: Activation, lines: list[Line], *, goes_ahead: bool = False) -> None:
    """The hot path: one statement on PostgreSQL, one commit. `goes_ahead`: the function may go on while that is under way."""
    rows = [line.row for line in lines]
    left = list(lines)

    def tell() -> None:
        while left:
            activation.live.deliver(left.pop(0).entry())
        activation.book.take_up(activation.live)

    held = activation.runtime.database.statement(
        lambda connection: steps.insert_fenced(
            connection, activation.fence, rows, meanwhile=tell if goes_ahead else None
        )
    )
    if held is not None and not left:
        activation.book.seq = held[2]
    _deliver(activation, held, left)


def write(activation: Activation, build: Callable[[Connection], list[Line]], *, only_if_no_news: bool = False) -> bool:
    """Run `build` under the fence, add the lines it returns to the journal, and deliver them to the function.

    False if `only_if_no_news` was asked for and there was news, which has then been read instead.
    """
    identity, book = activation.identity, activation.book

    def work(connection: Connection) -> tuple[Any, list[Line]] | None:
        held = instances.fenced(connection, id=identity.pk, fence=activation.fence)
        if held is None:
            raise Superseded
        if only_if_no_news and held.wanted != book.wanted:
            return None
        lines = build(connection)
        if not lines:
            return (held.wanted, held.status, book.seq), lines
        return steps.insert_fenced(connection, activation.fence, [line.row for line in lines]), lines

    done = activation.runtime.database.transaction(work)
    if done is None:
        activation.sync()
        return False
    _deliver(activation, *done)
    return True


def write_attempts(activation: Activation, rows: list[dict[str, Any]]) -> None:
    """What `write` does where there are attempts to be added and nothing else, in one round trip."""
    held = activation.runtime.database.origin.statement(
        lambda connection: attempts.insert_fenced(connection, activation.identity.pk, activation.fence, rows)
    )
    _deliver(activation, held and (held.wanted, held.status, activation.book.seq), [])


def fire(activation: Activation, keys: list[str], lines: list[Line], enter: Callable[[], None]) -> None:
    """What `write` does where timers have fired and nothing else: one statement on PostgreSQL. If there is news, that is
    read instead. `enter` brings the book up to it, before the function goes on."""
    book = activation.book
    rows = [line.row for line in lines]
    held = activation.runtime.database.statement(
        lambda connection: steps.fire(connection, activation.fence, book.wanted, keys, rows)
    )
    if held is not None and held[0] != book.wanted:
        activation.sync()
        return
    if held is not None:
        enter()
    _deliver(activation, held, lines)


def _deliver(activation: Activation, held: Any, lines: list[Line]) -> None:
    """Feed the function, in the order of the journal: if others have written too, what they wrote may come first."""
    if held is None:
        raise Superseded
    wanted, _, seq = held
    book, live = activation.book, activation.live
    if wanted != book.wanted:
        activation.sync()
        return
    for line in lines:
        endings.answer(activation, line.entry())
    book.seq = seq
    if live.cancelled:
        for command in live.cancelled:
            order = activation.in_place.get(command.key)
            if order is not None and order.row_id is not None:
                book.stale_attempts.append(command.key)
            activation.in_place.cancel(command.key)
    book.take_up(live, activation.in_place)


def _take_out(activation: Activation, report: Report) -> bool:
    """A report of a step that was given up meanwhile has nobody who asks for it."""
    key = report.order.command.key
    if activation.in_place.get(key) is not report.order:
        return False
    del activation.in_place[key]
    activation.book.remote.pop(key, None)  # its own row, if news was read while the body ran
    return True


def _retry_of(report: Report) -> Retry | AskDelay | None:
    """When to try again, if that is known; None if the report settles its step."""
    if report.error is None or report.fatal:
        return None
    order = report.order
    decided = after_failure(order.config, order.attempt, report.error, report.ended_at, retryable=report.retryable)
    return decided if isinstance(decided, (Retry, AskDelay)) else None


def _write_reports(
    activation: Activation,
    connection: Connection,
    reports: list[Report],
    retries: dict[int, Retry | AskDelay | None],
    now: int,
) -> list[Line]:
    worker = activation.runtime.worker_id
    lines = []
    for report in reports:
        order, retry = report.order, retries[id(report)]
        if report.error is not None and not report.fatal:
            if not _fail_attempt(connection, activation, report):
                retries[id(report)] = None
                continue
        elif order.row_id is not None and not attempts.take(connection, order.row_id, worker):
            continue
        if retry is None:
            lines.append(_line(activation, report))
        elif isinstance(retry, Retry) and retry.due_at > now:
            first_ring_at = ring_at(activation.runtime.settings, retry.due_at, now)
            timers.insert(connection, [_retry_timer(activation, order, retry, report.ended_at, first_ring_at)])
    return lines


def _fail_attempt(connection: Connection, activation: Activation, report: Report) -> bool:
    """Write the failed attempt down. False if its row was taken from this worker: then it counts as failed already."""
    order = report.order
    error = encode(report.error)
    if order.row_id is not None:
        return attempts.fail(connection, order.row_id, activation.runtime.worker_id, error=error, now=report.ended_at)
    row = attempt_row(order, activation.claim.queue, activation.runtime.worker_id)
    attempts.insert(connection, [{**row, "state": AttemptState.FAILED, "ended_at": report.ended_at, "error": error}])
    return True


def _retry_timer(activation: Activation, order: Order, retry: Retry, failed_at: int, ring_at: int) -> dict[str, Any]:
    return {
        "instance_id": activation.identity.pk,
        "key": order.command.key,
        "kind": RETRY,
        "position": order.command.position,
        "queue": activation.claim.queue,
        "started_at": failed_at,
        "due_at": retry.due_at,
        "ring_at": ring_at,
    }


def _note_retry(activation: Activation, report: Report, retry: Retry | AskDelay, now: int) -> None:
    book, order = activation.book, report.order
    key = order.command.key
    if key in book.timers:
        return  # news was read in between and has it already
    if key not in activation.live.outstanding:
        book.stale_timers.append(key)  # given up by what the function was told together with it
        return
    book.failed[key] = Failed(order.attempt, report.error or {}, report.ended_at, order.config)
    if isinstance(retry, AskDelay):
        book.runnable.pop(key, None)
        book.undecided[key] = order.command
        return
    if retry.due_at <= now:
        book.undecided.pop(key, None)
        book.runnable[key] = order.command
        return
    book.runnable.pop(key, None)
    book.undecided.pop(key, None)
    book.add_timers([Waiting(key, RETRY, order.command.position, report.ended_at, retry.due_at)])
    ring_countdown(activation, retry.due_at, now)


def ring_at(settings: Settings, due_at: int, now: int) -> int:
    """When the pump is to see to a timer: if it is due soon, only where its countdown was lost. The others are left to the
    pump even within the horizon, as it sends one message for all that are due together."""
    if due_at <= now + soon_ms(settings):
        return due_at + settings.grace_ms
    return due_at - (settings.horizon_ms if due_at > now + settings.horizon_ms else soon_ms(settings))


def soon_ms(settings: Settings) -> int:
    """What is due within it becomes a countdown at once: a pump might look too late."""
    return min(2 * settings.pump_ms, settings.horizon_ms)


def ring_countdown(activation: Activation, due_at: int, now: int) -> None:
    """A timer that is due soon becomes a countdown at once; the pump sees to the others."""
    if due_at <= now + soon_ms(activation.runtime.settings):
        activation.runtime.ring(Ring(activation.identity.pk, activation.claim.queue, delay_ms=max(due_at - now, 0)))


def _line(activation: Activation, report: Report) -> Line:
    row = step_row(report.order, report, activation.runtime.worker_id)
    return Line(row, UNREAD if report.error is not None else report.value, report.error)
