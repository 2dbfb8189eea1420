"""Commits what attempts with a row of their own have come to, for whoever ran them; it never decides on a retry.

Such an attempt belongs to its row in `attempts`, not to the claim of its instance: the row is the right to report.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from orchestrator.doorbell import Ring
from orchestrator.engine.orders import Identity, Order, Report
from orchestrator.errors import DatabaseUnavailable
from orchestrator.serialization import encode, encode_error
from orchestrator.statuses import FINITE
from orchestrator.store import attempts, settling
from orchestrator.store.settling import Settled

if TYPE_CHECKING:
    from orchestrator.engine.runtime import Runtime

log = logging.getLogger(__name__)


def step_row(order: Order, report: Report, worker: str) -> dict[str, Any]:
    """The journal's row for a report that settles its step."""
    return {
        "instance_id": order.identity.pk,
        "run": order.identity.run,
        "key": order.command.key,
        "position": order.command.position,
        "result": report.result,
        "error": None if report.error is None else encode(report.error),
        "config": order.stored_config,
        "attempts": order.attempt,
        "started_at": order.started_at,
        "ended_at": report.ended_at,
        "worker": worker,
    }


def attempt_row(order: Order, queue: str, worker: str | None) -> dict[str, Any]:
    """The row in `attempts` of an order: all but its state."""
    return {
        "instance_id": order.identity.pk,
        "run": order.identity.run,
        "key": order.command.key,
        "position": order.command.position,
        "attempt": order.attempt,
        "queue": order.config.queue or queue,
        "worker": worker,
        "config": order.stored_config,
        "started_at": order.started_at,
        "deadline_at": order.deadline_at,
    }


def commit_alone(runtime: Runtime, identity: Identity, reports: Sequence[Report]) -> bool:
    """Commit reports of one instance without holding it, and mark it as wanted.

    Whether this worker may go on with it: nobody holds it, and it is of a queue that is served here.

    A report whose row was taken away (timed out, given up, terminated, restarted) changes nothing and is logged. If the
    database is away, the supervisor tries again; whether it had committed before it went does not matter.
    """
    try:
        return store(runtime, identity, reports)
    except DatabaseUnavailable as error:
        log.warning(
            "results of %s/%s will be stored when the database is back: %s",
            identity.workflow, identity.instance_id, error.args[0],
        )  # fmt: skip
        runtime.owed.append((identity, list(reports)))
        return False
    except SQLAlchemyError as error:
        log.exception("results of %s/%s were refused", identity.workflow, identity.instance_id)
        return store(runtime, identity, [Report(r.order, r.ended_at, error=encode_error(error)) for r in reports])


def store(runtime: Runtime, identity: Identity, reports: Sequence[Report]) -> bool:
    """commit_alone, once."""
    settled = settle(runtime, identity.pk, [(identity, reports)])
    return tell(runtime, settled.instance, identity, reports)


def settle(runtime: Runtime, pk: int, told: Sequence[tuple[Identity, Sequence[Report]]], *, limit: int = 0) -> Settled:
    """Write down what attempts of an instance have come to, and claim up to `limit` ready ones.

    A failure is left for the coordinator to decide. What is of a run that is over changes nothing.
    """
    worker, now = runtime.worker_id, runtime.clock.now_ms()
    reports = [report for _, reports in told for report in reports]
    done = [report for report in reports if report.error is None or report.fatal]
    claim = attempts.claiming(id=pk, worker=worker, queues=runtime.queues, limit=limit, now=now) if limit else None
    settled = runtime.database.origin.statement(
        lambda connection: settling.settle(
            connection, pk, worker,
            runs=[identity.run for identity, _ in told],
            done=[(row_id(report), step_row(report.order, report, worker)) for report in done],
            failed=[(row_id(r), encode(r.error), r.ended_at) for r in reports if r.error is not None and not r.fatal],
            claim=claim,
            ring_at=now + max(runtime.settings.grace_ms, 1),
        )
    )  # fmt: skip
    going_on = [reports for identity, reports in told if _goes_on(settled.instance, identity)]
    for report in itertools.chain.from_iterable(going_on):
        if row_id(report) not in settled.attempts:
            log.warning(
                "attempt %d of step %s of %s/%s ended after it was taken from this worker; its result is dropped",
                report.order.attempt, report.order.command.label, report.order.identity.workflow,
                report.order.identity.instance_id,
            )  # fmt: skip
    return settled


def tell(runtime: Runtime, row: Any, identity: Identity, reports: Sequence[Report], *, rings: bool = True) -> bool:
    """After the commit: let the holder know, or ring. Whether this worker may go on with the instance."""
    if not _goes_on(row, identity):
        log.warning(
            "%s/%s has ended meanwhile: what %d of its attempts have come to is dropped",
            identity.workflow, identity.instance_id, len(reports),
        )  # fmt: skip
        return False
    if row.holder == runtime.worker_id and (activation := runtime.holding.get(identity.pk)) is not None:
        activation.nudge()
    elif rings and row.holder is None and row.ring_at is None:
        # Only the first completion since the last claim rings: the coordinator finds the others when it comes.
        runtime.ring(Ring(identity.pk, row.queue))
    return row.holder is None and row.queue in runtime.queues


def _goes_on(row: Any, identity: Identity) -> bool:
    return row is not None and row.run == identity.run and row.status not in FINITE


def row_id(report: Report) -> int:
    assert report.order.row_id is not None
    return report.order.row_id


def store_all(runtime: Runtime, reports: list[Report]) -> None:
    """commit_alone for reports of any instances."""
    reports.sort(key=lambda report: report.order.identity.pk)
    for identity, group in itertools.groupby(reports, key=lambda report: report.order.identity):
        commit_alone(runtime, identity, list(group))


def store_owed(runtime: Runtime) -> None:
    """Try again what could not be stored when the database was away. Raises DatabaseUnavailable if it still is."""
    while runtime.owed:
        store(runtime, *runtime.owed[0])
        runtime.owed.popleft()


class Completions:
    """A thread that commits reports of async bodies which outlived their holder; those that come together in one go."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._queue: queue.SimpleQueue[Report | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._added = self._settled = 0

    @property
    def busy(self) -> bool:
        """Whether there are reports that have not been dealt with."""
        return self._settled != self._added

    def add(self, report: Report) -> None:
        """From the thread of the async bodies."""
        self._added += 1
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="orchestrator-completions", daemon=True)
                    self._thread.start()
        self._queue.put(report)

    def stop(self, timeout_s: float = 10.0) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while self._store_some():
            pass

    def _store_some(self) -> bool:
        """A call of its own for each round: what a thread that waits for the next report still referred to would pass
        for a step in hand (see held_rows), and never be handed back."""
        first = self._queue.get()
        if first is None:
            return False
        reports, more = drain(self._queue, first)
        reports.sort(key=lambda report: report.order.identity.pk)
        for identity, group in itertools.groupby(reports, key=lambda report: report.order.identity):
            self._commit(identity, list(group))
        self._settled += len(reports)
        return more

    def _commit(self, identity: Identity, reports: list[Report]) -> None:
        try:
            commit_alone(self._runtime, identity, reports)
        except Exception:
            # Nothing here refers to their rows any more, so the supervisor will hand them back.
            log.exception("results of %s/%s could not be stored", identity.workflow, identity.instance_id)


def drain(source: queue.SimpleQueue[Any], first: Any) -> tuple[list[Any], bool]:
    """What is in the queue now, after `first`; False beside it if a None was met, which ends the list."""
    found = [first]
    while True:
        try:
            item = source.get_nowait()
        except queue.Empty:
            return found, True
        if item is None:
            return found, False
        found.append(item)
