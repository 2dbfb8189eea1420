"""Following an instance on a server: its events as they come, over as many connections as that takes."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Iterator
from typing import Any

from orchestrator.client import InstanceEvent
from orchestrator.clock import monotonic
from orchestrator.errors import InstanceNotFound, ResultTimeout, ServerFailed, ServerUnavailable
from orchestrator.remote.records import record
from orchestrator.remote.transport import TRIES, Transport

SILENCE_S = 40.0
"""The server says something at least every 15 seconds."""
_AGAIN_S = 0.5


class RemoteSubscription(Iterator[InstanceEvent]):
    """An iterator of events that waits for the next one and stops after the end of the instance."""

    def __init__(
        self, transport: Transport, place: tuple[str, ...], *, cursor: int, types: frozenset[str], timeout: float | None
    ) -> None:
        self._transport = transport
        self._place = place
        self._filter = ",".join(sorted(types)) or None
        self._timeout = timeout
        self._until = None if timeout is None else monotonic() + timeout
        self._lines = self._read()
        self._pause = threading.Event()
        self.cursor = cursor
        """The last event that came."""
        self.ended = False
        """Nothing will come any more."""

    def __iter__(self) -> RemoteSubscription:
        return self

    def __next__(self) -> InstanceEvent:
        return next(self._lines)

    def close(self) -> None:
        self.ended = True
        self._lines.close()

    def _read(self) -> Generator[InstanceEvent, None, None]:
        failed = 0
        while not self.ended:
            before = self.cursor
            try:
                yield from self._once()
                failed = 0
            except ServerUnavailable:
                failed = 0 if self.cursor != before else failed + 1
                self._in_time()
                if failed >= TRIES:
                    raise
                self._pause.wait(_AGAIN_S * failed)
            else:
                self._in_time()

    def _once(self) -> Iterator[InstanceEvent]:
        """The events of one connection."""
        query = {"cursor": self.cursor, "filter": self._filter}
        with self._transport.lines(*self._place, "subscribe", query=query, silence_s=self._patience()) as lines:
            if lines is None:
                self.ended = True
                return
            kind, data = "", ""
            for line in lines:
                name, _, value = line.partition(":")
                if name == "event":
                    kind = value.strip()
                elif name == "data":
                    data = value.strip()
                elif not line and data:
                    yield self._event(kind, json.loads(data))
                    kind, data = "", ""
                if self._until is not None and monotonic() >= self._until:
                    self._in_time()

    def _event(self, kind: str, data: dict[str, Any]) -> InstanceEvent:
        if kind == "gone":
            self.ended = True
            raise InstanceNotFound(f"Instance {self._place[-1]!r} does not exist any more.")
        if kind == "error":
            raise ServerFailed(f"The server stopped telling what happens: {data.get('detail')}")
        event = record(InstanceEvent, data)
        self.cursor = event.event_id
        return event

    def _patience(self) -> float:
        return SILENCE_S if self._until is None else max(0.01, min(SILENCE_S, self._until - monotonic()))

    def _in_time(self) -> None:
        if self._until is not None and monotonic() >= self._until and not self.ended:
            raise ResultTimeout(f"Instance {self._place[-1]!r} did not end within {self._timeout} seconds.")
