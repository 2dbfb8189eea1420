"""The bodies that a claim runs in place: on its own thread or on the process's loop; it commits nothing.

`lock` is held by the thread that works on the claim, but while it waits for a body: only then may a supervisor step in
and detach them, which gives each a row of its own and the claim back.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from orchestrator.authoring.commands import RunStep
from orchestrator.clock import monotonic
from orchestrator.engine import completions, sharing
from orchestrator.engine.held_rows import HeldRow
from orchestrator.engine.orders import Order, Report
from orchestrator.engine.resting import Rest

if TYPE_CHECKING:
    from orchestrator.engine.activation import Activation


class Detached(BaseException):
    """The claim was given back because a body runs for long; its bodies report through their own rows now."""


class InPlace(dict[str, Order]):
    """What runs, by the key of its step."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self._activation = activation
        self._runtime = activation.runtime
        self._reports: queue.SimpleQueue[Report | None] = queue.SimpleQueue()
        self._hand_over = threading.Lock()
        self._closed = False
        self.lock = threading.Lock()
        self.taken_at = math.inf
        """Since when (in monotonic time) the thread that works on the claim has had the lock; infinity while it has not.
        Those who look at it from outside take no lock, and may do so between any two lines of those who set it."""
        self.detached = False

    def take_lock(self) -> None:
        """For the thread that works on the claim."""
        self.lock.acquire()
        self.taken_at = monotonic()

    def leave_lock(self) -> None:
        self.taken_at = math.inf
        self.lock.release()

    def order(self, command: RunStep) -> Order:
        """The next attempt of a step, entered here."""
        activation = self._activation
        failed = activation.book.failed.get(command.key)
        attempt = 1 if failed is None else failed.attempt + 1
        order = self[command.key] = Order(activation.identity, command, attempt, activation.book.config_of(command))
        return order

    def run_here(self, orders: list[Order]) -> list[Report]:
        """Run `def` bodies on this thread, one after another. Raises Detached if that took so long that others went on."""
        ended: list[tuple[Report, HeldRow | None]] = []
        for number, order in enumerate(orders, 1):
            if ended and not self._runtime.may_have_claims():
                break  # what has ended is stored first, if it still can be
            self._runtime.check_lease()
            if not self._runtime.may_begin(order):
                self.pop(order.command.key, None)
                self._activation.nudge()
                continue
            self.leave_lock()
            try:
                report = self._runtime.runner.run_sync(order)
            finally:
                self.take_lock()
            ended.append((report, order.row))
            if order.row is not None:
                self._runtime.rows.ended(order.row, report)
            if self.detached:
                self._leave(self._unstored(ended), orders[number:])
        return self._unstored(ended)

    def start(self, orders: list[Order]) -> None:
        """Start `async def` bodies; they report here as long as the claim lasts, and for themselves after."""
        self._runtime.start_async(orders, self._reported, will_wait=self._waits_for_one)

    @property
    def _waits_for_one(self) -> bool:
        """Whether this thread has nothing to do but wait for one body."""
        activation = self._activation
        return len(self) == 1 and self._runtime.company is None and not (activation.helping or activation.book.has_sync)

    def wait(self, timeout_s: float | None) -> list[Report]:
        """Reports of bodies that have ended meanwhile; none if something else is to be looked at. Raises Detached."""
        self.leave_lock()
        company = self._runtime.company
        try:
            if company is not None:
                company.wait(lambda: not self._reports.empty(), timeout_s)
                timeout_s = 0
            elif self._waits_for_one and self._runtime.bodies.wait(lambda: not self._reports.empty(), timeout_s):
                timeout_s = 0
            first = self._reports.get(timeout=timeout_s)
        except queue.Empty:
            first = None
        finally:
            self.take_lock()
        reports = [report for report in (first, *self._arrived()) if report is not None]
        if self.detached:
            self._leave(reports, [])
        return reports

    def rest(self, timeout_s: float, orders: Sequence[Order]) -> bool:
        """Wait in company for a moment, at which these bodies are begun; they report here. False if they were not, as
        the claim is not as it was any more, or the worker stops."""
        activation, company = self._activation, self._runtime.company
        assert company is not None
        until = monotonic() + timeout_s
        for order in orders:
            order.started = until  # it takes no time before that
        claim = (activation.identity.pk, activation.fence, activation.book.wanted)
        rest = Rest(until, claim, [(order, self._reported) for order in orders], lambda: bool(self._arrived()))
        self.taken_at = math.inf  # but no supervisor steps in: what these bodies follow has yet to be stored
        try:
            return company.rest(rest)
        finally:
            self.taken_at = monotonic()

    def cancel(self, key: str) -> None:
        """Stop the body of a step that nobody waits for any more; what it reports is not heard."""
        order = self.pop(key, None)
        if order is None:
            return
        order.given_up = True
        if order.task is not None:
            self._runtime.bodies.cancel(order.task)

    def close(self) -> None:
        """Nobody waits for any of them any more."""
        self._closed = True
        self._detach()
        for key in list(self):
            self.cancel(key)

    def leave(self) -> NoReturn:
        """After `mark_detached` by the thread that works on the claim. Raises Detached."""
        self._leave([], [])

    # --- from other threads

    def interrupt(self) -> None:
        """Let `wait` return."""
        self._put(None)

    def mark_detached(self) -> None:
        """By the supervisor, which holds `lock`: the claim is given back and every body has a row."""
        self._detach()
        for report in self._arrived():
            if report is not None:
                self._runtime.completions.add(report)  # the claim's own thread may be in a body for long
        self.interrupt()

    def _detach(self) -> None:
        with self._hand_over:
            self.detached = True

    def _reported(self, report: Report) -> None:
        """On the thread of the async bodies."""
        with self._hand_over:
            if not self.detached:
                self._put(report)
                return
        if not self._closed:
            self._runtime.completions.add(report)

    def _put(self, report: Report | None) -> None:
        self._reports.put(report)
        if (company := self._runtime.company) is not None:
            company.tell()
        else:
            self._runtime.bodies.look()

    def _unstored(self, ended: list[tuple[Report, HeldRow | None]]) -> list[Report]:
        """Those that are still this thread's to store: the supervisor did it for what had to wait for long."""
        found = []
        for report, row in ended:
            if row is None or self._runtime.rows.take_report(row):
                found.append(report)
            else:
                self.pop(report.order.command.key, None)
                self._activation.nudge()
        return found

    def _arrived(self) -> list[Report | None]:
        found = []
        while not self._reports.empty():
            found.append(self._reports.get_nowait())
        return found

    def _leave(self, reports: list[Report], unstarted: list[Order]) -> NoReturn:
        """Hand over what this thread still has, now that every body reports for itself."""
        reports += [report for report in self._arrived() if report is not None]
        sharing.hand_back(self._runtime, {order.row.id: order.row.pk for order in unstarted if order.row is not None})
        if reports:
            completions.commit_alone(self._runtime, self._activation.identity, reports)
        raise Detached
