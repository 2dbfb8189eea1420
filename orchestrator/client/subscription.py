"""Following one instance: what has happened to it, in order, and then what happens; it changes nothing of the instance."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.clock import monotonic
from orchestrator.engine.happenings import EVENT_TYPES, TERMINAL
from orchestrator.engine.history import Follower
from orchestrator.errors import InstanceNotFound, InvalidSubscription, ResultTimeout

if TYPE_CHECKING:
    from orchestrator.engine.admission import Desk

FIRST_LOOK_S, LAST_LOOK_S = 0.005, 0.5
_TERMINAL = frozenset(TERMINAL.values())
MAX_CURSOR = 2**31 - 1


@dataclass(frozen=True, slots=True)
class InstanceEvent:
    """One thing that has happened to an instance."""

    instance_id: str
    event_id: int
    """Grows with every event of an instance: give the last one you have dealt with as `cursor` to go on after it."""
    timestamp: int
    """Epoch milliseconds."""
    type: str
    data: dict[str, Any]
    """`step_name`, `attempt`, `output`, `error`…, by type."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Subscription(Iterator[InstanceEvent]):
    """An iterator of events that waits for the next one and stops after the end of the instance. Any thread may ask."""

    def __init__(
        self, desk: Desk, instance_id: str, pk: int, *, cursor: int, types: frozenset[str], timeout: float | None
    ) -> None:
        self._notifier = desk.notifier
        self._follower = Follower(desk.database, pk)
        self._id, self._pk = instance_id, pk
        self._types = types
        self._timeout = timeout
        self._until = None if timeout is None else monotonic() + timeout
        self._pause_s = FIRST_LOOK_S
        self._ready: deque[InstanceEvent] = deque()
        self._lock = threading.Lock()
        self.cursor = cursor
        """The last event that was looked at, whether the filter let it through or not."""
        self.ended = False
        """Nothing will come any more."""

    def __iter__(self) -> Subscription:
        return self

    def __next__(self) -> InstanceEvent:
        with self._lock:
            while True:
                event = self._next(None if self._until is None else self._until - monotonic())
                if event is not None:
                    return event
                if self.ended:
                    raise StopIteration
                if self._until is not None and monotonic() >= self._until:
                    raise ResultTimeout(f"Instance {self._id!r} did not end within {self._timeout} seconds.")

    def next(self, wait_s: float) -> InstanceEvent | None:
        """The next event; None if none has come within that time, or none will (then `ended` says so)."""
        with self._lock:
            return self._next(wait_s)

    def close(self) -> None:
        self.ended = True
        self._ready.clear()

    def _next(self, wait_s: float | None) -> InstanceEvent | None:
        until = None if wait_s is None else monotonic() + wait_s
        while not self._ready and not self.ended:
            if self._look():
                self._pause_s = FIRST_LOOK_S
                continue
            left = LAST_LOOK_S if until is None else until - monotonic()
            if left <= 0:
                return None
            self._notifier.wait(self._pk, min(self._pause_s, left))
            self._pause_s = min(self._pause_s * 1.3, LAST_LOOK_S)
        return self._ready.popleft() if self._ready else None

    def _look(self) -> bool:
        """Whether there was anything new. Raises InstanceNotFound."""
        found = self._follower.look(self.cursor)
        if found is None:
            self.ended = True
            raise InstanceNotFound(f"Instance {self._id!r} does not exist any more.")
        for line in found:
            self.cursor = line.event_id
            if not self._types or line.type in self._types:
                self._ready.append(InstanceEvent(self._id, line.event_id, line.at, line.type, line.data))
            if line.type in _TERMINAL:
                self.ended = True
        if not found and self._follower.ended:
            self.ended = True  # the cursor was at the end already
        return bool(found)


def check_subscription(cursor: object, filter: object) -> tuple[int, frozenset[str]]:
    """Raises InvalidSubscription, which says what is allowed."""
    if cursor is not None and (
        isinstance(cursor, bool) or not isinstance(cursor, int) or not 0 <= cursor <= MAX_CURSOR
    ):
        raise InvalidSubscription(
            f"Invalid Workflow subscription options: cursor is {cursor!r}; give the event_id of the last event you have "
            "dealt with, a whole number from 0."
        )
    if filter is not None and (isinstance(filter, str) or not isinstance(filter, Sequence)):
        raise InvalidSubscription(
            f"Invalid Workflow subscription options: filter is {filter!r}; give a list of event types."
        )
    wanted = list(filter or ())
    unknown = [type for type in wanted if type not in EVENT_TYPES]
    if unknown:
        raise InvalidSubscription(
            f"Invalid Workflow subscription options: there is no event type {unknown[0]!r}; known: {', '.join(EVENT_TYPES)}."
        )
    return cursor or 0, frozenset(wanted)
