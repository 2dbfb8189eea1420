"""Looks after one process that works: its heartbeat, bodies that run for long, timeouts; it runs no user code.

A claim is meant to be short. When a body runs for longer than a moment, the supervisor writes it down as running, with
its deadline, and gives the claim of its instance back: the instance can react to events and timers meanwhile, the pump
can enforce the deadline, and readers see what runs.
"""

from __future__ import annotations

import heapq
import itertools
import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from sqlalchemy import Connection

from orchestrator.clock import monotonic
from orchestrator.doorbell import Ring
from orchestrator.engine import completions, pump, sharing
from orchestrator.engine.activation import Activation
from orchestrator.engine.completions import attempt_row
from orchestrator.engine.orders import Order
from orchestrator.engine.runtime import Runtime
from orchestrator.errors import DatabaseUnavailable
from orchestrator.statuses import AttemptState, InstanceStatus
from orchestrator.store import attempts, instances, workers

log = logging.getLogger(__name__)

RETRY_S = 0.2
"""How long it rests when its round has failed."""
DEAF = 4
"""So many times the grace without any message, while others wait, make a process deaf."""
SURE_OF_LEASE = 0.9
"""The part of the lease in which a worker trusts in it: two clocks need not run equally fast."""


class Supervisor:
    def __init__(self, runtime: Runtime, *, recycle: Callable[[], None] = lambda: None) -> None:
        self._runtime = runtime
        self._recycle = recycle
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="orchestrator-supervisor", daemon=True)
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._beat_at = 0.0
        self._unknown_claims: set[tuple[int, int]] = set()
        self._unknown_rows: set[int] = set()
        self._unlisted: set[str] = set()
        info = {"host": socket.gethostname(), "pid": os.getpid(), "queues": list(runtime.queues)}
        self._info = json.dumps({**info, "workflows": sorted(runtime.registry)})
        runtime.wake_supervisor = self._wake.set
        runtime.later = self.later

    def start(self) -> None:
        self.beat()
        self._thread.start()

    def stop(self) -> None:
        """End the thread: no heartbeat follows."""
        self._stop.set()
        self._wake.set()
        self._thread.join(10)

    def later(self, delay_s: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call on this thread after a while."""
        heapq.heappush(self._calls, (monotonic() + delay_s, next(self._numbers), call))
        self._wake.set()
        return self._wake.set

    # --- the thread

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._work()
            except DatabaseUnavailable as error:
                log.warning("the supervisor could not do its round; it tries again: %s", error)
                self._stop.wait(RETRY_S)
            except Exception:
                log.exception("the supervisor could not do its round; it tries again")
                self._stop.wait(RETRY_S)
            self._wake.wait(self._pause_s())
            self._wake.clear()

    def _pause_s(self) -> float:
        settings, now = self._runtime.settings, monotonic()
        moments = [self._beat_at, now + settings.moment_ms / 2000]
        if self._calls:
            moments.append(self._calls[0][0])
        running = list(self._runtime.running.values())
        moments += [
            order.started + min(order.config.timeout_ms, settings.moment_ms) / 1000
            for order in running[:1000]
            if not order.deadline_written
        ]
        moments += [
            order.started + order.config.timeout_ms / 1000
            for order in running[:1000]
            if id(order) not in self._runtime.abandoned
        ]
        return max(min(moments) - now, 0.002)

    def _work(self) -> None:
        while self._calls and self._calls[0][0] <= monotonic():
            heapq.heappop(self._calls)[2]()
        if monotonic() >= self._beat_at:
            self.beat()
        self.look_after_bodies()
        self.look_after_functions()
        self.look_after_ears()

    def beat(self) -> None:
        runtime = self._runtime
        runtime.database.synchronise_clock()
        now, asked_at = runtime.clock.now_ms(), monotonic()
        runtime.database.statement(
            lambda connection: workers.beat(connection, id=runtime.worker_id, now=now, info=self._info)
        )
        runtime.lease_until = asked_at + runtime.settings.lease_ms * SURE_OF_LEASE / 1000
        runtime.count_slots()
        self._beat_at = monotonic() + runtime.settings.heartbeat_ms / 1000
        completions.store_owed(runtime)
        self._reconcile()
        self._bury_unlisted()

    def look_after_bodies(self) -> None:
        """Detach what runs for long, write deadlines down, and act on those that have passed."""
        runtime, now = self._runtime, monotonic()
        moment_s = runtime.settings.moment_ms / 1000
        for activation in list(runtime.holding.values()):
            if activation.in_place.lock.acquire(blocking=False):
                try:
                    if _is_long(activation, now, moment_s):
                        detach(runtime, activation)
                finally:
                    activation.in_place.lock.release()
        known = [order for order in list(runtime.running.values()) if order.row_id is not None]
        self._write_deadlines(
            [o for o in known if not o.deadline_written and now - o.started >= _patience(o, moment_s)]
        )
        overdue = [
            order for order in known
            if order.task is None and id(order) not in runtime.abandoned
            and now - order.started >= order.config.timeout_ms / 1000
        ]  # fmt: skip
        if overdue:
            self._abandon(overdue)
        sharing.hand_back(runtime, {row.id: row.pk for row in runtime.rows.take_back(moment_s)})
        completions.store_all(runtime, runtime.rows.take_reports(moment_s))

    def look_after_functions(self) -> None:
        """Take instances away from a `run` that does not come back; the thread is lost, so the process is replaced."""
        runtime = self._runtime
        for pk, activation in list(runtime.holding.items()):
            identity, has_gone_on_s = activation.identity, monotonic() - activation.in_place.taken_at
            if has_gone_on_s < runtime.settings.stall_ms / 1000:
                continue
            log.error(
                "the `run` of %s/%s has gone on for %.0f s without asking for anything; another worker will try. "
                "This process has lost a thread by that, and is recycled",
                identity.workflow, identity.instance_id, has_gone_on_s,
            )  # fmt: skip
            self._take_from(pk, activation.fence)
            del runtime.holding[pk]
            runtime.stuck += 1
            if runtime.killable:
                self._end_process()
            self._recycle()

    def look_after_ears(self) -> None:
        """Have a process replaced that is alive and hears nothing any more."""
        patience_s = DEAF * self._runtime.settings.grace_ms / 1000
        if self._runtime.ears.deaf(patience_s):
            log.error(
                "instances were rung for again and again and this process, which was idle, has heard nothing for %.0f s: "
                "its consumer has stalled, and it is recycled", patience_s,
            )  # fmt: skip
            self._runtime.ears.heard()
            self._recycle()

    def _end_process(self) -> NoReturn:
        runtime = self._runtime
        log.error("this worker process ends itself to stop what does not stop; its parent starts another")
        others = [order.row for order in list(runtime.running.values()) if order.task is not None]
        runtime.bodies.stop(1.0)
        try:
            # What others have under way here is not to blame and keeps its attempt.
            sharing.hand_back(runtime, {row.id: row.pk for row in others if row is not None})
            completions.store_all(runtime, runtime.rows.take_reports(0))
            pump.bury(runtime.database, known=[runtime.worker_id])
        except DatabaseUnavailable as error:
            log.warning("what this process holds is for others only after its lease: %s", error)
        os.kill(os.getpid(), signal.SIGKILL)
        raise SystemExit

    def _write_deadlines(self, orders: list[Order]) -> None:
        if not orders:
            return
        rows = [{"id": order.row_id or 0, "deadline_at": order.deadline_at} for order in orders]
        self._runtime.database.transaction(lambda connection: attempts.set_deadlines(connection, rows))
        for order in orders:
            order.deadline_written = True

    def _abandon(self, overdue: list[Order]) -> None:
        """`def` bodies past their timeout: counted and fenced off here, and killed where the process may be killed."""
        runtime = self._runtime
        pump.fail_overdue(runtime)
        for order in overdue:
            runtime.abandoned.add(id(order))
            log.error(
                "step %s of %s/%s ignores its timeout of %d ms; its result will be dropped",
                order.command.label, order.identity.workflow, order.identity.instance_id, order.config.timeout_ms,
            )  # fmt: skip
        if runtime.killable:
            self._end_process()
        if len(runtime.abandoned) > runtime.settings.max_abandoned:
            log.error("%d bodies ignore their timeouts; this worker process is recycled", len(runtime.abandoned))
            self._recycle()

    def _reconcile(self) -> None:
        """Hand back what stands in this worker's name and what it knows nothing of, seen twice in a row.

        A claim or an attempt whose release failed, because the database was away or the transaction was refused, would
        otherwise belong to a living worker for ever.
        """
        runtime = self._runtime
        running = [order for order in list(runtime.running.values()) if order.row is not None]
        with runtime.database.read() as connection:
            claims = {(row.id, row.fence) for row in instances.held_by(connection, runtime.worker_id)}
            rows = {row.id for row in attempts.of_worker(connection, runtime.worker_id)}
        for order in running:
            if order.task is not None and order.row_id not in rows:
                runtime.bodies.cancel(
                    order.task
                )  # terminated, restarted or timed out meanwhile: nobody hears its report
        claims -= {(pk, activation.fence) for pk, activation in list(runtime.holding.items())} | set(runtime.taken)
        rows -= {order.row_id for order in running} | runtime.rows.ids(runtime.settings.lease_ms / 1000)
        for pk, fence in claims & self._unknown_claims:
            log.warning("the claim of instance %d stands in this worker's name without a reason; giving it back", pk)
            self._free(pk, fence)
        forgotten = rows & self._unknown_rows
        if forgotten:
            log.warning("%d attempts stand in this worker's name without a reason; handing them back", len(forgotten))
            runtime.rows.write_off(forgotten)
            sharing.hand_back_rows(runtime, sorted(forgotten))
        self._unknown_claims, self._unknown_rows = claims, rows

    def _bury_unlisted(self) -> None:
        """Free what stands in the name of a worker that is on no list, seen twice in a row.

        One that was taken for dead, came back, took something and then died before its next heartbeat would otherwise
        keep that for ever: no heartbeat of it can run out.
        """
        runtime = self._runtime
        with runtime.database.read() as connection:
            unlisted = set(workers.unlisted(connection)) - {runtime.worker_id}
        again = unlisted & self._unlisted
        if again:
            pump.bury(runtime.database, known=sorted(again))
        self._unlisted = unlisted

    def _take_from(self, pk: int, fence: int) -> None:
        """Free an instance as if its worker had died: what was under way in it has cost an attempt."""
        runtime, now = self._runtime, self._runtime.clock.now_ms()
        runtime.database.statement(lambda c: instances.free(c, id=pk, fence=fence, worker=runtime.worker_id, now=now))

    def _free(self, pk: int, fence: int) -> None:
        runtime, now = self._runtime, self._runtime.clock.now_ms()
        if (pk, fence) in runtime.dropped:
            self._take_from(pk, fence)
            runtime.dropped.discard((pk, fence))
            return
        runtime.database.statement(
            lambda c: instances.give_back(c, id=pk, fence=fence, status=InstanceStatus.RUNNING, ring_at=now)
        )


def _patience(order: Order, moment_s: float) -> float:
    return min(moment_s, order.config.timeout_ms / 1000)


def _is_long(activation: Activation, now: float, moment_s: float) -> bool:
    return (
        not activation.in_place.detached
        and not activation.delays.seconds_left()
        and any(now - order.started >= _patience(order, moment_s) for order in activation.in_place.values())
    )


def detach(runtime: Runtime, activation: Activation) -> None:
    """Give each running body a row of its own and the claim back. The caller holds the activation's lock."""
    identity, book, claim = activation.identity, activation.book, activation.claim
    now = runtime.clock.now_ms()
    orders = list(activation.in_place.values())

    def work(connection: Connection) -> Any:
        held = instances.fenced(connection, id=identity.pk, fence=activation.fence)
        if held is None:
            # Taken over or ended meanwhile; or it was done before, and the answer was lost.
            rows = {
                (row.key, row.attempt): row.id
                for row in attempts.of_run(connection, identity.pk, identity.run)
                if row.state == AttemptState.RUNNING and row.worker == runtime.worker_id
            }
            found = [(order, rows.get((order.command.key, order.attempt))) for order in orders]
            return (found, True) if all(row_id is not None for _, row_id in found) else None
        made = []
        for order in orders:
            if order.row_id is None:
                order.started_at = order.started_at or now
                row = attempt_row(order, claim.queue, runtime.worker_id)
                made.append((order, attempts.insert_running(connection, row)))
        news = held.wanted != book.wanted or bool(book.runnable or book.undecided)
        status = held.status if held.status == InstanceStatus.WAITING_FOR_PAUSE else InstanceStatus.RUNNING
        ring_at = now + runtime.settings.grace_ms if news else None
        instances.give_back(
            connection, id=identity.pk, fence=activation.fence, status=status, ring_at=ring_at, went_on=True
        )
        return made, news

    try:
        done = runtime.database.transaction(work)
    except DatabaseUnavailable:
        # Perhaps only the answer was lost. A body that ends now must know whether it has a row of its own.
        done = runtime.database.transaction(work)
    if done is None:
        activation.nudge()  # taken over or ended meanwhile: the holder looks, and cancels what it waits for
        return
    made, news = done
    for order, row_id in made:
        order.row = order.row or runtime.rows.hold(row_id, identity.pk)
        order.deadline_written = True
    activation.in_place.mark_detached()
    if runtime.holding.get(identity.pk) is activation:
        del runtime.holding[identity.pk]
    if activation.live.definition.is_async:
        activation.keep_hot()
    if news:
        runtime.ring(Ring(identity.pk, claim.queue))
