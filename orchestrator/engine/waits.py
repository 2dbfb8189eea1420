"""Starting and ending what waits for a moment or an event, all that is to be done at one stop in one transaction."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from orchestrator.authoring.commands import AwaitEvent, RunStep, StartTimer
from orchestrator.engine.book import Failed, Waiting
from orchestrator.engine.commits import Line, fire, ring_at, ring_countdown, write
from orchestrator.engine.completions import attempt_row
from orchestrator.engine.events import received
from orchestrator.engine.orders import Order
from orchestrator.engine.retries import AskDelay, GiveUp, Retry, after_failure
from orchestrator.errors import EventTimeoutError, NonRetryableDelayError, WorkerLostError
from orchestrator.serialization import encode, encode_error
from orchestrator.statuses import RETRY, AttemptState, StepKind
from orchestrator.store import attempts, events, instances, timers

if TYPE_CHECKING:
    from orchestrator.engine.activation import Activation

log = logging.getLogger(__name__)


def settle(activation: Activation) -> bool:
    """Fire what is due, start what is asked for, drop what was given up. True if the function may have gone on."""
    book = activation.book
    asked = book.to_wait or book.stale_timers or book.stale_attempts
    if not (asked or book.timers or book.undecided or activation.delays.pending):
        return False
    now = activation.runtime.clock.now_ms()
    news = asked or book.is_due(now)
    # A pause starts nothing, but the delay of a retry begins with the failure: it is put off like the other deadlines.
    decided = _decisions(activation) if book.undecided or activation.delays.pending else {}
    if not decided and (book.pausing or not news):
        return False
    stop = Stop(activation, now, decided)
    if stop.only_fires:
        fire(activation, [waiting.key for waiting in stop.due], stop.fired(), stop.enter)
        return True
    if write(activation, stop.build, only_if_no_news=True):
        stop.announce()
    return True


Decision = Retry | GiveUp | NonRetryableDelayError


def _decisions(activation: Activation) -> dict[str, Decision]:
    """What follows for each failed step; those whose delay function has yet to answer are not among them."""
    book, found = activation.book, dict[str, Decision]()
    activation.delays.forget_others(book.undecided)
    for key, step in book.undecided.items():
        failed = book.failed[key]
        decided = after_failure(failed.config, failed.attempt, failed.error, failed.ended_at)
        if isinstance(decided, AskDelay):
            activation.delays.ask(step, failed)
            answer = activation.delays.answer(key, failed.attempt)
            if answer is None:
                continue
            if isinstance(answer, NonRetryableDelayError):
                found[key] = answer
                continue
            decided = after_failure(failed.config, failed.attempt, failed.error, failed.ended_at, asked_ms=answer)
        assert not isinstance(decided, AskDelay)
        found[key] = decided
    return found


class Stop:
    """All that is settled at one stop of one instance."""

    def __init__(self, activation: Activation, now: int, decided: dict[str, Decision]) -> None:
        self.activation = activation
        self.now = now
        book = activation.book
        pausing = book.pausing
        self.due = [] if pausing else book.due(now)
        self.to_wait = [] if pausing else list(book.to_wait.values())
        self.decided = decided
        self.stale_timers, self.stale_attempts = list(book.stale_timers), list(book.stale_attempts)
        self.started: list[Waiting] = []
        self.runnable: list[RunStep] = []
        self.awaited: list[AwaitEvent] = []

    def build(self, connection: Connection) -> list[Line]:
        identity = self.activation.identity
        lines: list[Line] = []
        rows: list[dict[str, Any]] = []
        for waiting in self.due:
            lines += self._fire(waiting)
        for command in self.to_wait:
            line = self._start(connection, command, rows)
            if line is not None:
                lines.append(line)
        for key, decision in self.decided.items():
            lines += self._decide(self.activation.book.undecided[key], decision, rows)
        gone = self.stale_timers + [waiting.key for waiting in self.due]
        if gone:
            timers.delete(connection, identity.pk, gone)
        if self.stale_attempts:
            attempts.drop(connection, identity.pk, identity.run, self.stale_attempts)
        if rows:
            timers.insert(connection, rows)
        self.enter()
        return lines

    @property
    def only_fires(self) -> bool:
        """Whether nothing but the ends of sleeps and of waits is to be written down."""
        outstanding = self.activation.live.outstanding
        others = self.to_wait or self.decided or self.stale_timers or self.stale_attempts
        return bool(self.due and not others) and all(
            waiting.kind != RETRY and isinstance(outstanding.get(waiting.key), (AwaitEvent, StartTimer))
            for waiting in self.due
        )

    def fired(self) -> list[Line]:
        return [line for waiting in self.due for line in self._fire(waiting)]

    def announce(self) -> None:
        runtime, claim = self.activation.runtime, self.activation.claim
        for waiting in self.started:
            ring_countdown(self.activation, waiting.due_at, self.now)
        for command in self.awaited:
            runtime.notifier.waiting(claim.id, command.event_type, claim.queue)

    # --- one by one

    def _fire(self, waiting: Waiting) -> list[Line]:
        command = self.activation.live.outstanding.get(waiting.key)
        if command is None:
            return []
        if waiting.kind == RETRY:
            if isinstance(command, RunStep):
                self.runnable.append(command)
            return []
        if isinstance(command, AwaitEvent):
            error = encode_error(EventTimeoutError.after(command.timeout_ms))
            return [self._line(command, waiting.started_at, error=error, config=_config(command))]
        if isinstance(command, StartTimer):
            return [self._line(command, waiting.started_at, config=_config(command))]
        return []

    def _start(
        self, connection: Connection, command: StartTimer | AwaitEvent, rows: list[dict[str, Any]]
    ) -> Line | None:
        if isinstance(command, AwaitEvent):
            event = events.oldest(connection, self.activation.identity.pk, command.event_type)
            if event is not None:
                events.consume(connection, event.id, command.key)
                result = received(command.event_type, event.payload, event.created_at)
                return self._line(command, self.now, result=result, config=_config(command))
            due_at = self.now + command.timeout_ms
            self.awaited.append(command)
        else:
            due_at = command.due_at(self.now)
            if due_at <= self.now:
                if command.until_ms is not None:
                    log.info("%s of %s passes at once: its moment is in the past", command, self.activation.identity)
                return self._line(command, self.now, config=_config(command))
        self.started.append(Waiting(command.key, command.kind, command.position, self.now, due_at))
        rows.append(self._row(command.key, command.kind, command.position, self.now, due_at, command))
        return None

    def _decide(self, step: RunStep, decided: Decision, rows: list[dict[str, Any]]) -> list[Line]:
        failed = self.activation.book.failed[step.key]
        if not isinstance(decided, Retry):
            error = failed.error if isinstance(decided, GiveUp) else encode_error(decided)
            line = self._line(step, failed.ended_at, error=error, config=failed.config.shown)
            line.row["attempts"] = failed.attempt
            return [line]
        if decided.due_at <= self.now:
            self.runnable.append(step)
        else:
            self.started.append(Waiting(step.key, RETRY, step.position, failed.ended_at, decided.due_at))
            rows.append(self._row(step.key, RETRY, step.position, failed.ended_at, decided.due_at, step))
        return []

    def enter(self) -> None:
        """Bring the book up to what this transaction writes, before the function goes on with it."""
        book = self.activation.book
        book.drop_timers([waiting.key for waiting in self.due])
        book.add_timers(self.started)
        for command in self.to_wait:
            book.to_wait.pop(command.key, None)
        self.activation.delays.forget(self.decided)
        for key in self.decided:
            book.undecided.pop(key, None)
        for step in self.runnable:
            book.runnable[step.key] = step
        book.stale_timers, book.stale_attempts = [], []

    def _row(self, key: str, kind: str, position: int, started_at: int, due_at: int, command: Any) -> dict[str, Any]:
        return {
            "instance_id": self.activation.identity.pk,
            "key": key,
            "kind": str(kind),
            "position": position,
            "event_type": command.event_type if isinstance(command, AwaitEvent) else None,
            "queue": self.activation.claim.queue,
            "started_at": started_at,
            "due_at": due_at,
            "ring_at": ring_at(self.activation.runtime.settings, due_at, self.now),
        }

    def _line(
        self,
        command: Any,
        started_at: int,
        *,
        result: str | None = None,
        error: dict[str, Any] | None = None,
        config: str | None = None,
    ) -> Line:
        identity = self.activation.identity
        row = {
            "instance_id": identity.pk,
            "run": identity.run,
            "key": command.key,
            "position": command.position,
            "result": result,
            "error": None if error is None else encode(error),
            "config": config,
            "attempts": 0 if command.kind != StepKind.DO else 1,
            "started_at": started_at,
            "ended_at": self.now,
            "worker": self.activation.runtime.worker_id,
        }
        return Line(row, error=error)


def charge_lost(activation: Activation) -> None:
    """A holder died: each step that it may have been running in place is charged one attempt (design law 4).

    Those are steps without any attempt yet: further ones have rows of their own. Where there is none to charge, the death
    stays counted, until the instance comes to rest: a function that kills its process must not do so for ever.
    """
    identity, book, runtime = activation.identity, activation.book, activation.runtime
    lost = list(book.runnable.values())
    if not lost:
        return
    error = encode_error(WorkerLostError())
    now = runtime.clock.now_ms()
    orders = [activation.in_place.order(command) for command in lost]
    for order in orders:
        order.started_at = now
        del activation.in_place[order.command.key]

    def work(connection: Connection) -> list[Line]:
        instances.clear_lost(connection, id=identity.pk, fence=activation.fence)
        attempts.insert(connection, [_lost_row(activation, order, encode(error), now) for order in orders])
        return []

    write(activation, work)
    for order in orders:
        key = order.command.key
        book.failed[key] = Failed(order.attempt, error, now, order.config)
        book.runnable.pop(key, None)
        if key in activation.live.outstanding:
            book.undecided[key] = order.command


def _lost_row(activation: Activation, order: Order, error: str, now: int) -> dict[str, Any]:
    row = attempt_row(order, activation.claim.queue, None)
    return {**row, "state": AttemptState.FAILED, "deadline_at": None, "ended_at": now, "error": error}


def _config(command: StartTimer | AwaitEvent) -> str:
    """What was asked for, for those who look at the journal."""
    if isinstance(command, AwaitEvent):
        return json.dumps({"type": command.event_type, "timeout": command.timeout_ms})
    if command.until_ms is not None:
        return json.dumps({"until": command.until_ms})
    return json.dumps({"duration": command.duration_ms})
