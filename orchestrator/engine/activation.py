"""One claim of an instance being worked: the loop that drives its function, runs steps in place and lets go again."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from orchestrator.authoring.workflow import Definition
from orchestrator.clock import monotonic
from orchestrator.doorbell import Ring
from orchestrator.engine import early, endings, rollback, sharing, slots, versions, waits
from orchestrator.engine.book import Book
from orchestrator.engine.claims import Taken, claim_free
from orchestrator.engine.commits import commit
from orchestrator.engine.delays import Delays
from orchestrator.engine.earlier_runs import Ancestry, ancestry
from orchestrator.engine.functions import new_run
from orchestrator.engine.in_place import Detached, InPlace
from orchestrator.engine.orders import Identity, Order, Report
from orchestrator.engine.runtime import HotRun, Runtime
from orchestrator.errors import DatabaseUnavailable, InvalidParams, LeaseOver, ReplayMismatch, WorkerLostError
from orchestrator.interrupts import Superseded
from orchestrator.replay.rollback import RollbackRun
from orchestrator.replay.run import WorkflowRun
from orchestrator.statuses import InstanceStatus
from orchestrator.store import instances
from orchestrator.store.missed import Missed

log = logging.getLogger(__name__)

LEAST_TURNS = 10
"""So often one of several may go on, however long it took: most of that was the others'. To hand all of them back and take
them up again would only make it longer."""


def advance(runtime: Runtime, pk: int, taken: Taken | None = None) -> None:
    """Take an instance up and go on with it as far as it goes; return at once if somebody else has it.

    The coordinator of the design. Safe to call any number of times, from anywhere, at any time. `taken`: what this worker
    has of it already.
    """
    again = taken is None or taken.claim is None or Activation(runtime, taken.claim, taken.missed).work()
    while again and runtime.may_start():
        claim = claim_free(runtime, pk)
        if claim is None:
            if (holder := runtime.holding.get(pk)) is not None:
                holder.nudge()
                return
            claim = slots.claim(runtime, pk)
            if claim is None:
                return
        again = Activation(runtime, claim).work()


class Activation:
    """What a holder has: the row it has claimed, what it knows of the instance, and the function itself."""

    def __init__(self, runtime: Runtime, claim: Any, missed: Missed | None = None) -> None:
        self.runtime = runtime
        self.claim = claim
        self._missed = missed
        self.fence: int = claim.fence
        self.identity = Identity(claim.id, claim.workflow, claim.instance_id, claim.created_at, claim.run)
        self.book = Book(claim.wanted, claim.status, claim.rollback)
        self.in_place = InPlace(self)
        self.delays = Delays(self)
        self.committing: list[Order] = []
        """What has ended and is being stored."""
        self.helping = False
        """There may be ready steps left that this claim has put up for everybody and helps to work off."""
        self.chunk = 1
        """How many ready steps to take at once, while helping."""
        self.helpers: sharing.Helpers | None = None
        """Others who are called if the last of these take long."""
        self.version: str | None = None
        """Of the code that this worker has of the workflow."""
        self._nudged = False
        self.live: WorkflowRun | RollbackRun

    # --- the loop

    def work(self) -> bool:
        """Go on until there is nothing to do, the fence has moved or the budget is spent. True: claim and go on."""
        self.runtime.holding[self.identity.pk] = self
        self.in_place.take_lock()
        try:
            self._drive()
        except Superseded:
            log.info("%s/%s was taken over or ended meanwhile", self.identity.workflow, self.identity.instance_id)
            self._put_away()
        except Detached:
            if hasattr(self, "live") and not self.live.definition.is_async:
                self.live.close()
            return not self.runtime.stopping.is_set()
        except Exception as error:
            foreseen = isinstance(error, (DatabaseUnavailable, LeaseOver))
            log.log(
                logging.WARNING if foreseen else logging.ERROR, "%s/%s could not be advanced: %s",
                self.identity.workflow, self.identity.instance_id, error, exc_info=not foreseen,
            )  # fmt: skip
            in_flight = [*self.committing, *self.in_place.values()]
            self._put_away()
            self._give_back_after(error, in_flight)
        finally:
            self.in_place.leave_lock()
            if self.runtime.holding.get(self.identity.pk) is self:
                del self.runtime.holding[self.identity.pk]
        return False

    def _drive(self) -> None:
        if not self._begin():
            return
        budget_s = self.runtime.settings.budget_ms / 1000
        spent_at, turns = monotonic() + budget_s, 0
        while True:
            if self.book.to_be_undone:
                rollback.collect(self)
            if self.live.outcome is not None and not self.book.pausing:
                self._finish()
                return
            if waits.settle(self):
                continue
            stopping = self.runtime.stopping.is_set()
            if not self.busy and (stopping or self._would_hold_up_others()):
                if not stopping:
                    self.runtime.crowd.blocking.add(self.identity.workflow)
                self._yield()
                return
            reports = [] if self.book.pausing or stopping else self._run_some()
            if not reports and self.busy:
                reports = self.in_place.wait(self._patience_s())
            if reports:
                if commit(self, reports):
                    return
                turns += 1
                if monotonic() > spent_at and (turns >= LEAST_TURNS or not self._goes_along):
                    if self._others_wait():
                        self._yield()
                        return
                    spent_at, turns = monotonic() + budget_s, 0
            elif self._nudged:
                self.sync()
            elif not self.busy:
                if early.go_on(self):
                    spent_at, turns = monotonic() + budget_s, 0
                elif endings.let_go(self):
                    return

    def _finish(self) -> None:
        """The function has ended, or its rollback has."""
        if isinstance(self.live, RollbackRun):
            rollback.end(self)
        elif rollback.is_due(self):
            assert self.live.outcome is not None
            rollback.collect(self, self.live.outcome.error)
        else:
            endings.finish(self)

    def _begin(self) -> bool:
        """Bring the function to where its journal ends. False if this worker can't."""
        definition = self.runtime.registry.get(self.identity.workflow)
        if definition is None:
            endings.leave_to_others(self)
            return False
        if self.claim.lost and self._has_company:
            self._yield(went_on=False)  # whatever it is that workers died with, it must not take others along
            return False
        self.version = versions.note_change(self, definition)
        if self.claim.lost >= self.runtime.settings.max_deaths:
            self._fail(WorkerLostError(
                f"{self.claim.lost} workers have died or got stuck one after another while they drove this instance, and "
                "none of them got any further. Perhaps its `run` ends the process, never comes back, or needs more memory "
                "than there is."
            ))  # fmt: skip
            return False
        past = ancestry(self.runtime.database, self.identity.pk, self.identity.run, self.claim.started_at)
        if past.kept:
            self.identity = replace(self.identity, kept=past.kept)
        try:
            if self.book.being_undone:
                if not rollback.take_up(self, definition):
                    return False
            else:
                self._take_up(definition, past)
        except InvalidParams as error:
            self._fail(error)
            return False
        except ReplayMismatch as error:
            self.live.close()
            endings.fail(self, error)
            return False
        if self.claim.lost:
            waits.charge_lost(self)
        return True

    def _take_up(self, definition: Definition, past: Ancestry) -> None:
        hot = self.runtime.hot.take(self.identity.pk, self.identity.run)
        if hot is not None:
            self.live, self.book.seq = hot.live, hot.seq
        else:
            self.live = new_run(
                self.runtime.database, definition, self.claim, past, self.runtime.step_limits.get(self.claim.workflow)
            )
            self.live.start()
        if self.fence > 1:
            self.sync(self.claim, self._missed)
            self._missed = None
        else:
            self.book.take_up(self.live)

    def _fail(self, error: Exception) -> None:
        if self.book.being_undone:
            rollback.fail(self, error)
        else:
            endings.fail(self, error)

    def sync(self, claim: Any = None, missed: Missed | None = None) -> None:
        """Read what others have written since, and feed it to the function. `claim`: the row, if just claimed; `missed`:
        what was read after that."""
        self._nudged = False
        self.book.read(self, claim, missed)
        self.helping = self.helping or self.book.has_ready(self.runtime.queues)
        for key in [key for key in self.in_place if key not in self.live.outstanding or key in self.book.undecided]:
            self.in_place.cancel(key)

    def _run_some(self) -> list[Report]:
        """Start what can be started; reports of what was run on this thread."""
        self.runtime.check_lease()
        sharing.publish(self)
        commands = self.book.take_async(self.runtime.settings.async_concurrency - len(self.in_place))
        if commands:
            self.in_place.start([self.in_place.order(command) for command in commands])
        if self._would_hold_up_others():
            return []
        alone = self.book.next_sync()
        if alone is not None:
            return self.in_place.run_here([self.in_place.order(alone)])
        return sharing.help_out(self) if self.helping else []

    @property
    def busy(self) -> bool:
        """Whether something runs here that will report."""
        return bool(self.in_place) or self.delays.pending

    def _patience_s(self) -> float | None:
        if not (self.book.timers or self.delays.pending):
            return None
        moments = (self.book.seconds_to_next_due(self.runtime.clock.now_ms()), self.delays.seconds_left())
        return min((moment for moment in moments if moment is not None), default=None)

    def nudge(self) -> None:
        """From another thread: there is news in the database, so look before letting go."""
        self._nudged = True
        self.in_place.interrupt()

    # --- letting go

    def keep_hot(self) -> None:
        if not hasattr(self, "live") or isinstance(self.live, RollbackRun):
            return  # what is left to undo is read anew by whoever goes on with it
        self.runtime.hot.put(self.identity.pk, HotRun(self.identity.run, self.live, self.book.seq))

    def _put_away(self) -> None:
        others_have_it = self.in_place.detached
        self.in_place.close()
        if hasattr(self, "live") and not others_have_it:
            self.live.close()

    def _would_hold_up_others(self) -> bool:
        """Whether a `def` body comes next, for which others on this thread would have to wait."""
        return (self.helping or self.book.has_sync) and self._has_company

    @property
    def _goes_along(self) -> bool:
        company = self.runtime.company
        return company is not None and company.is_here

    @property
    def _has_company(self) -> bool:
        """Whether others are on this thread. If not, none will join."""
        company = self.runtime.company
        return company is not None and company.others

    def _others_wait(self) -> bool:
        if self.busy or self.live.outcome is not None:
            return False
        with self.runtime.database.read() as connection:
            return instances.someone_waits(connection, queue=self.claim.queue, id=self.identity.pk)

    def _yield(self, *, went_on: bool = True) -> None:
        """Hand the instance back to the queue in the middle of its work, for others to have their turn."""
        endings.give_back(self, InstanceStatus.RUNNING, delay_ms=self.runtime.patience_ms, went_on=went_on)
        self.keep_hot()
        self.runtime.ring(Ring(self.identity.pk, self.claim.queue))
        if self.helping and self.helpers is not None:
            self.helpers.call()

    def _give_back_after(self, error: Exception, in_flight: list[Order]) -> None:
        try:
            endings.give_back_unfinished(self, error, in_flight)
        except DatabaseUnavailable:
            log.warning("the claim could not be given back; the supervisor will")
            self.runtime.dropped.add((self.identity.pk, self.fence))
