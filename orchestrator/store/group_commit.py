"""One writer at a time on SQLite, and one commit for all who wait meanwhile; it knows nothing of what is written.

Callers that wait for SQLite's own lock are served by chance and may wait for long; here they wait for each other's sync,
which is most of a commit, and share the next one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine

T = TypeVar("T")


class _Job:
    __slots__ = ("done", "error", "result", "work")

    def __init__(self, work: Callable[[Connection], Any]) -> None:
        self.work = work
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None


class GroupCommit:
    """Callers queue their work; whoever gets the lock does all that has queued up, in one transaction.

    There is no thread of its own: a caller that finds nobody writing writes at once.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._queue: deque[_Job] = deque()
        self._connection: Connection | None = None
        self._driver: Any = None

    def run(self, work: Callable[[Connection], T]) -> T:
        """The result of `work`, after its commit. If it raises, its own changes are undone and nobody else's."""
        job = _Job(work)
        self._queue.append(job)
        with self._lock:
            if not job.done:
                self._write(self._drain())
        if job.error is not None:
            raise job.error
        return cast(T, job.result)

    def run_all(self, works: Sequence[Callable[[Connection], Any]]) -> list[Any]:
        """What came of each, its result or its error, after a commit for all; one that raises undoes only its own."""
        jobs = [_Job(work) for work in works]
        self._queue.extend(jobs)
        with self._lock:
            if not all(job.done for job in jobs):
                self._write(self._drain())
        return [job.result if job.error is None else job.error for job in jobs]

    def look(self, read: Callable[[Connection], T]) -> T | None:
        """Read with the writing connection, outside of any transaction; None if somebody is writing now."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            return read(self._open()[0])
        finally:
            self._lock.release()

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _drain(self) -> list[_Job]:
        batch: list[_Job] = []
        while self._queue:
            batch.append(self._queue.popleft())
        return batch

    def _write(self, batch: list[_Job]) -> None:
        try:
            connection, driver = self._open()
            driver.execute("BEGIN IMMEDIATE")
            try:
                if len(batch) == 1:
                    batch[0].result = batch[0].work(connection)
                else:
                    for job in batch:
                        self._one_of_many(connection, driver, job)
                if driver.in_transaction:  # a migration ends its transaction by itself
                    driver.execute("COMMIT")
            except BaseException:
                if driver.in_transaction:
                    driver.execute("ROLLBACK")
                raise
        except BaseException as error:  # noqa: BLE001 - whatever went wrong belongs to those who wait for this commit
            for job in batch:
                job.error = job.error or error
        for job in batch:
            job.done = True

    def _open(self) -> tuple[Connection, Any]:
        """The connection, and the driver's own: transactions are begun and ended there."""
        if self._connection is None:
            self._connection = self._engine.connect()
            self._driver = self._connection.connection.driver_connection
        return self._connection, self._driver

    @staticmethod
    def _one_of_many(connection: Connection, driver: Any, job: _Job) -> None:
        driver.execute("SAVEPOINT job")
        try:
            job.result = job.work(connection)
        except BaseException as error:  # noqa: BLE001 - it is handed to the caller it belongs to
            job.error = error
            driver.execute("ROLLBACK TO job")
        driver.execute("RELEASE job")
