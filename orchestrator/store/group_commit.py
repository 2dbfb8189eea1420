"""One writer at a time on SQLite, and one commit for all who wait meanwhile; it knows nothing of what is written.

Callers that wait for SQLite's own lock are served by chance and may wait for long; here they wait for each other's sync,
which is most of a commit, and share the next one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
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
                        self._one_of_many(connection, job)
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
    def _one_of_many(connection: Connection, job: _Job) -> None:
        connection.exec_driver_sql("SAVEPOINT job")
        try:
            job.result = job.work(connection)
        except BaseException as error:  # noqa: BLE001 - it is handed to the caller it belongs to
            job.error = error
            connection.exec_driver_sql("ROLLBACK TO job")
        connection.exec_driver_sql("RELEASE job")
