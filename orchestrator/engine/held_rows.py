"""The rows of attempts that this process has in hand, from the claim to the commit; it reads and writes none of them.

A row that stands in this worker's name and is not in hand has been lost on the way, and is for others again. So whoever
works on one keeps a reference to it for as long as the row is its own: what nobody refers to is lost. What somebody does
may be lost too, as where the database went away: the traceback of an error refers to all that was at hand when it was
raised, until the next collection of garbage, which may be far. So what is not running is in hand for a while only.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Container
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.clock import monotonic

if TYPE_CHECKING:
    from orchestrator.engine.orders import Report


class HeldRow:
    """One of them. Its body may begin once, unless it is taken back before, and is reported once, by whoever takes that."""

    __slots__ = ("__weakref__", "begun", "id", "pk", "report", "seen_at", "taken_back", "waits_since")

    def __init__(self, id: int, pk: int) -> None:
        self.id = id
        self.pk = pk
        self.begun = False
        self.taken_back = False
        self.waits_since: float | None = None
        """Since when (in monotonic time) it waits for its turn, or for those that were taken together with it to end."""
        self.report: Report | None = None
        """What it has come to, until somebody takes that to store it."""
        self.seen_at = monotonic()
        """When (in monotonic time) it was taken, or its body ended."""


@dataclass(slots=True)
class Taken:
    """A step that this worker has claimed: its row in hand, and what the row says."""

    held: HeldRow
    row: Any

    @property
    def key(self) -> str:
        return str(self.row.key)


class HeldRows:
    def __init__(self) -> None:
        self._rows: weakref.WeakValueDictionary[int, HeldRow] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()
        self._closed = False

    def hold(self, id: int, pk: int) -> HeldRow:
        row = HeldRow(id, pk)
        with self._lock:
            self._rows[id] = row
        return row

    def begin(self, row: HeldRow) -> bool:
        """Whether its body may begin now; if so, nobody takes it back any more."""
        with self._lock:
            row.begun = not (row.taken_back or self._closed)
        return row.begun

    def close(self) -> None:
        """No further body may begin here."""
        with self._lock:
            self._closed = True

    def ids(self, patience_s: float) -> set[int]:
        """Those that have been on their way to their body, or from there to the database, for no longer than this."""
        too_old = monotonic() - patience_s
        return {row.id for row in self._alive() if row.seen_at > too_old and not row.taken_back}

    def write_off(self, ids: Container[int]) -> None:
        """These are for others; those that have not begun will not."""
        for row in self._alive():
            if row.id in ids:
                with self._lock:
                    row.taken_back = True

    def take_back(self, patience_s: float) -> list[HeldRow]:
        """Those that have waited for their turn for so long; their bodies will not begin here."""
        too_old = monotonic() - patience_s
        found = []
        for row in self._alive():
            if row.waits_since is None or row.waits_since > too_old:
                continue
            with self._lock:
                if not row.begun and not row.taken_back:
                    row.taken_back = True
                    found.append(row)
        return found

    def ended(self, row: HeldRow, report: Report) -> None:
        """Its body has ended; it is stored together with others, or alone if those take long."""
        row.waits_since = monotonic()
        row.report = report

    def take_report(self, row: HeldRow) -> bool:
        """Whether it is the caller's to store; if so, nobody else's."""
        with self._lock:
            mine, row.report = row.report is not None, None
        return mine

    def take_reports(self, patience_s: float) -> list[Report]:
        """What has waited to be stored for so long."""
        too_old = monotonic() - patience_s
        found = []
        for row in self._alive():
            report = row.report
            if report is None or row.waits_since is None or row.waits_since > too_old:
                continue
            if self.take_report(row):
                found.append(report)
        return found

    def _alive(self) -> list[HeldRow]:
        return [row for row in (reference() for reference in self._rows.valuerefs()) if row is not None]
