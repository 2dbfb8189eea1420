"""The numbered history of an instance, brought up to date by whoever follows it and by nobody else: a worker pays nothing.

What is told from the rows is appended under the instance's lock, so every follower sees the same numbers, and what is
learnt later gets a later number, whenever it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from orchestrator.authoring.shown import shown_output
from orchestrator.engine.happenings import LARGE, STATUS_TYPES, TERMINAL, Happening, Known, tell
from orchestrator.serialization import decode, encode
from orchestrator.statuses import FINITE, InstanceStatus
from orchestrator.store import attempts, instances, timers
from orchestrator.store import history as rows_of
from orchestrator.store.database import Database

CHUNK = 500
PAGE = 100
"""How many are read at once: each may hold a payload."""
_SEEN_ONLY = {InstanceStatus.RUNNING: "workflow_running", InstanceStatus.WAITING: "workflow_waiting"}
"""Nobody writes these down: they are told to those who watch while they are so."""
_STATUS_OF = {type: status for type, status in STATUS_TYPES.items()}


@dataclass(frozen=True, slots=True)
class Numbered:
    """One line of the history, with its data."""

    event_id: int
    type: str
    at: int
    data: dict[str, Any]


class Follower:
    """Follows the current run of one instance; after a restart, the new one."""

    def __init__(self, database: Database, pk: int) -> None:
        self._database = database
        self._pk = pk
        self._run = 0
        self._known: set[Known] = set()
        self._last = 0
        self._seq = 0
        self._status: str | None = None
        self.ended = False
        """The run has come to its end, and the history says so."""

    def look(self, cursor: int, limit: int = PAGE) -> list[Numbered] | None:
        """What there is after the cursor, after the history was brought up to date; None: the instance is gone."""
        if not self._catch_up():
            return None
        with self._database.read() as connection:
            rows = rows_of.page(connection, self._pk, self._run, after=cursor, limit=limit)
            return self._with_data(connection, rows)

    # --- bringing it up to date

    def _catch_up(self) -> bool:
        while True:
            with self._database.read() as connection:
                # The status first and the journal last: nothing is written after an end, and a step that is settled in
                # between leaves `attempts` and `timers` for the journal.
                subject = rows_of.subject(connection, self._pk)
                if subject is None:
                    return False
                if subject.run != self._run:
                    self._begin(connection, subject.run)
                changes = rows_of.changes(connection, self._pk, self._run)
                tried = attempts.of_run(connection, self._pk, self._run)
                waiting = timers.of_instance(connection, self._pk)
                steps = rows_of.steps(connection, self._pk, self._run, self._seq)
            told = tell(subject, changes, tried, waiting, steps)
            news = [happening for happening in told if happening.known not in self._known]
            self._add_status(subject, news)
            if all(self._append(news[at : at + CHUNK]) for at in range(0, len(news), CHUNK)):
                self._seq = max((row.seq for row in steps), default=self._seq)
                self.ended = subject.status in FINITE
                return True

    def _begin(self, connection: Connection, run: int) -> None:
        self._run, self._known, self._seq, self._status = run, set(), 0, None
        self._read_known(connection)

    def _read_known(self, connection: Connection) -> None:
        # The last number first: what is appended in between is then known, and the next append finds out.
        self._last = rows_of.last(connection, self._pk)
        for row in rows_of.known(connection, self._pk, self._run):
            self._enter((row.type, row.key, row.number))

    def _enter(self, known: Known) -> None:
        self._known.add(known)
        self._status = _STATUS_OF.get(known[0], self._status)

    def _add_status(self, subject: Any, news: list[Happening]) -> None:
        type = _SEEN_ONLY.get(subject.status)
        told = [_STATUS_OF[happening.type] for happening in news if happening.type in _STATUS_OF]
        if type is not None and subject.status != (told[-1] if told else self._status):
            news.append(Happening(type, "", self._last + len(news) + 1, subject.modified_at, {}))

    def _append(self, news: list[Happening]) -> bool:
        """False if another follower has appended meanwhile: what it has told is read then, and the rest told anew."""

        def work(connection: Connection) -> int | None:
            row = instances.lock(connection, self._pk)
            last = rows_of.last(connection, self._pk)
            if row is None or row.run != self._run or last != self._last:
                return None
            rows_of.append(connection, [self._row(last + n, happening) for n, happening in enumerate(news, 1)])
            return last + len(news)

        last = self._database.transaction(work)
        if last is None:
            with self._database.read() as connection:
                self._read_known(connection)
            return False
        self._last = last
        for happening in news:
            self._enter(happening.known)
        return True

    def _row(self, event_id: int, happening: Happening) -> dict[str, Any]:
        return {
            "instance_id": self._pk,
            "event_id": event_id,
            "run": self._run,
            "type": happening.type,
            "key": happening.key,
            "number": happening.number,
            "at": happening.at,
            "data": None if happening.type in LARGE else encode(happening.data),
        }

    # --- reading it

    def _with_data(self, connection: Connection, rows: Any) -> list[Numbered]:
        large = [row for row in rows if row.data is None]
        subject = rows_of.subject(connection, self._pk) if any(not row.key for row in large) else None
        results = rows_of.results(connection, self._pk, self._run, [row.key for row in large if row.key])
        found = []
        for row in rows:
            if row.data is not None:
                data = decode(row.data)
            elif row.key:
                data = _output_of(row.key, results.get(row.key))
            else:
                data = _payload_of(row.type, subject, self._run)
            found.append(Numbered(row.event_id, row.type, row.at, data))
        return found


def _output_of(key: str, row: Any) -> dict[str, Any]:
    name, _, count = key.partition(":")[2].rpartition(":")
    output = None if row is None else shown_output(row.result, row.config)
    return {"step_name": f"{name}-{count}", "output": output}


def _payload_of(type: str, subject: Any, run: int) -> dict[str, Any]:
    if subject is None or subject.run != run:
        return {}
    if type == TERMINAL[InstanceStatus.COMPLETE]:
        return {"output": None if subject.output is None else decode(subject.output)}
    return {"params": decode(subject.params)}
