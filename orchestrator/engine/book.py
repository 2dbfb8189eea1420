"""What a holder knows of its instance: which command is in which state, as of the last look; it writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.authoring.commands import AwaitEvent, RunStep, StartTimer
from orchestrator.authoring.policy import StepConfig, stored_config
from orchestrator.engine import endings
from orchestrator.interrupts import Superseded
from orchestrator.replay.journal import Entry
from orchestrator.replay.rollback import RollbackRun
from orchestrator.replay.run import WorkflowRun
from orchestrator.serialization import decode
from orchestrator.statuses import AttemptState, InstanceStatus
from orchestrator.store import instances, missed

if TYPE_CHECKING:
    from orchestrator.engine.activation import Activation
    from orchestrator.engine.orders import Order


@dataclass(slots=True)
class Failed:
    """The last failed attempt of a step."""

    attempt: int
    error: dict[str, Any]
    ended_at: int
    config: StepConfig


@dataclass(slots=True)
class Waiting:
    """A row in `timers`."""

    key: str
    kind: str
    position: int
    started_at: int
    due_at: int


class Book:
    def __init__(self, wanted: int, status: str, rollback: str | None = None) -> None:
        self.wanted = wanted
        self.status = InstanceStatus(status)
        self.being_undone = rollback is not None and bool(decode(rollback)["collected"])
        """This claim is for handlers of a rollback."""
        self.to_be_undone = rollback is not None and not self.being_undone
        """Somebody asks for a rollback, which has yet to begin."""
        self.seq = 0
        """The last entry of the journal that the function has seen."""
        self.timers: dict[str, Waiting] = {}
        self.failed: dict[str, Failed] = {}
        self.remote: dict[str, Any] = {}
        """Open attempts with rows of their own (ready or running), by step."""
        self.runnable: dict[str, RunStep] = {}
        self.to_wait: dict[str, StartTimer | AwaitEvent] = {}
        self.undecided: dict[str, RunStep] = {}
        """Steps whose last attempt failed; what follows has yet to be decided."""
        self.stale_timers: list[str] = []
        self.stale_attempts: list[str] = []
        self._next_due: int | None = None
        self._old_timers: frozenset[str] = frozenset()
        """Those that were there already at the last look: whoever started them has sent their countdowns."""

    @property
    def pausing(self) -> bool:
        return self.status == InstanceStatus.WAITING_FOR_PAUSE

    @property
    def has_rows(self) -> bool:
        """Whether `timers` or `attempts` have anything of the instance that is open."""
        return bool(self.timers or self.remote or self.stale_timers or self.stale_attempts)

    # --- reading

    def read(self, activation: Activation, claim: Any = None, seen: missed.Missed | None = None) -> None:
        """Look at the database anew and feed the function what it has missed. Raises Superseded, ReplayMismatch.

        `claim`: the row that has just been claimed, which says what is wanted; `seen`: what was read after that.
        """
        live = activation.live
        if claim is not None and seen is not None and seen.after == self.seq:
            held, found = claim, seen
        else:
            held, found = _look(activation, claim, self.seq)
        self.wanted, self.status = held.wanted, InstanceStatus(held.status)
        self.to_be_undone = held.rollback is not None and not self.being_undone
        self.failed, self.remote = {}, {}
        for row in found.attempts:
            if row.state == AttemptState.FAILED:
                error, config = decode(row.error), stored_config(row.config)
                self.failed[row.key] = Failed(row.attempt, error, row.ended_at, config)
            else:
                self.remote[row.key] = row
        self.timers = {
            row.key: Waiting(row.key, row.kind, row.position, row.started_at, row.due_at) for row in found.timers
        }
        self._old_timers = frozenset(self.timers)
        for row in found.journal:
            self.seq = row.seq
            endings.answer(activation, entry_of(row))
        live.new.clear()
        live.cancelled.clear()
        outstanding = live.outstanding
        self.stale_timers = [key for key in self.timers if key not in outstanding]
        self.stale_attempts = [key for key in self.remote if key not in outstanding]
        for key in self.stale_timers:
            del self.timers[key]
        for key in self.stale_attempts:
            del self.remote[key]
        self.runnable, self.to_wait, self.undecided = {}, {}, {}
        self._classify(outstanding.values(), activation.in_place)
        self._next_due = None

    def take_up(self, live: WorkflowRun | RollbackRun, in_place: dict[str, Order] | None = None) -> None:
        """Take over what the function has asked for and given up since it was last looked at."""
        if live.cancelled:
            for command in live.cancelled:
                self._forget(command.key)
            live.cancelled.clear()
        if live.new:
            self._classify([c for c in live.new.values() if c.key in live.outstanding], in_place or {})
            live.new.clear()

    def _classify(self, commands: Any, in_place: dict[str, Order]) -> None:
        for command in commands:
            key = command.key
            if (
                key in self.timers
                or key in self.remote
                or (key in in_place and not _is_overruled(in_place[key], self.failed))
            ):
                continue
            if not isinstance(command, RunStep):
                self.to_wait[key] = command
            elif key in self.failed:
                self.undecided[key] = command
            else:
                self.runnable[key] = command

    def _forget(self, key: str) -> None:
        self.runnable.pop(key, None)
        self.to_wait.pop(key, None)
        self.undecided.pop(key, None)
        if self.timers.pop(key, None) is not None:
            self.stale_timers.append(key)
            self._next_due = None
        if self.remote.pop(key, None) is not None:
            self.stale_attempts.append(key)

    # --- asking

    def config_of(self, command: RunStep) -> StepConfig:
        """As stored when the step first ran, whatever the code says now."""
        failed = self.failed.get(command.key)
        return command.config if failed is None else failed.config

    def next_sync(self) -> RunStep | None:
        """The one `def` step to run here, if there is one; several are shared instead."""
        for key, command in self.runnable.items():
            if not command.signature.is_async:
                del self.runnable[key]
                return command
        return None

    @property
    def has_sync(self) -> bool:
        """Whether `def` steps are to be run."""
        return bool(self.runnable) and any(not command.signature.is_async for command in self.runnable.values())

    def take_async(self, room: int) -> list[RunStep]:
        found = [command for command in self.runnable.values() if command.signature.is_async][: max(room, 0)]
        for command in found:
            del self.runnable[command.key]
        return found

    def take_shared(self, queue: str) -> list[RunStep]:
        """Steps for everybody: those of another queue, `def` steps where there are several, and further attempts.

        So an attempt after the first has its row before its body runs, and a worker's death costs each step one attempt:
        the one that has a row, or the first.
        """
        foreign, sync = [], []
        for command in self.runnable.values():
            if command.key in self.failed or command.config.queue not in (None, queue):
                foreign.append(command)
            elif not command.signature.is_async:
                sync.append(command)
        found = foreign if len(sync) < 2 else foreign + sync
        for command in found:
            del self.runnable[command.key]
        return found

    def has_ready(self, queues: Sequence[str]) -> bool:
        """Whether there are steps that anybody who serves these queues may take."""
        return any(row.state == AttemptState.READY and row.queue in queues for row in self.remote.values())

    def is_due(self, now_ms: int) -> bool:
        return self.next_due is not None and self.next_due <= now_ms

    def due(self, now_ms: int) -> list[Waiting]:
        found = [waiting for waiting in self.timers.values() if waiting.due_at <= now_ms]
        return sorted(found, key=lambda waiting: (waiting.due_at, waiting.position))

    @property
    def next_due(self) -> int | None:
        if self._next_due is None and self.timers:
            self._next_due = min(waiting.due_at for waiting in self.timers.values())
        return self._next_due

    def missed(self, now_ms: int, soon_ms: int) -> int | None:
        """When a timer is due whose countdown may be spent: one due by now, or an older one due soon."""
        spent = (
            timer.due_at
            for key, timer in self.timers.items()
            if timer.due_at <= now_ms or (key in self._old_timers and timer.due_at <= now_ms + soon_ms)
        )
        return min(spent, default=None)

    def seconds_to_next_due(self, now_ms: int) -> float | None:
        return None if self.next_due is None else max(self.next_due - now_ms, 0) / 1000

    def add_timers(self, waiting: list[Waiting]) -> None:
        for timer in waiting:
            self.timers[timer.key] = timer
        self._next_due = None

    def drop_timers(self, keys: list[str]) -> None:
        for key in keys:
            self.timers.pop(key, None)
        self._next_due = None


def _is_overruled(order: Order, failed: Mapping[str, Failed]) -> bool:
    """Whether others have counted an attempt as failed that runs in place, as when its time was over."""
    last = failed.get(order.command.key)
    return last is not None and last.attempt >= order.attempt


def _look(activation: Activation, claim: Any, after: int) -> tuple[Any, missed.Missed]:
    """What the instance's row says, and what there is to be read of it. Raises Superseded."""
    identity, fence = activation.identity, activation.fence
    with activation.runtime.database.read() as connection:
        # The order is what makes this right without a snapshot. `wanted` first: whatever changes after it is seen before
        # letting go. The journal last: a step that is settled in between leaves `attempts` and `timers` for the journal,
        # and must not be missing from both, or it would be run again. The fence last too: who ends or restarts an
        # instance takes its rows away.
        held = claim or instances.peek(connection, id=identity.pk, fence=fence)
        found = missed.read(connection, fence=fence, id=identity.pk, run=identity.run, after=after) if held else None
    if found is None:
        raise Superseded
    return held, found


def entry_of(row: Any) -> Entry:
    return Entry(row.key, row.position, row.ended_at, row.result, None if row.error is None else decode(row.error))
