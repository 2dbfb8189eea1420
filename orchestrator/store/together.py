"""What several callers on one thread ask of the database at the same moment, in one round trip; it decides nothing.

Each caller is parked while it waits and goes on with its own answer, so none of them need know of the others. On PostgreSQL
single statements are sent in one pipeline, and those that are alike as one (store.alike), on SQLite writes share one commit;
everything else is done at once, alone.
200 instances that wake, on one thread and two busy cores: 2.0 ms each instead of 4.8 ms on PostgreSQL, 1.1 ms instead
of 1.9 ms on SQLite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from orchestrator.clock import Clock
from orchestrator.errors import DatabaseUnavailable
from orchestrator.store import alike
from orchestrator.store.database import Database
from orchestrator.store.driver import Answer

T = TypeVar("T")


class Asked:
    """A statement with its values, in the spelling of the driver, or (on SQLite) a transaction's work."""

    __slots__ = ("sql", "values", "work")

    def __init__(self, sql: str, values: Any, work: Callable[[Connection], Any] | None = None) -> None:
        self.sql = sql
        self.values = values
        self.work = work


class Park(Protocol):
    def __call__(self, asked: Asked) -> Any:
        """Wait for the answer to what is asked; raise the error that came instead."""
        ...


class _Parking:
    """Stands for a connection in statements that are answered together with others."""

    def __init__(self, database: Database, park: Park) -> None:
        self.dialect = database.dialect
        self._park = park

    def execute_later(self, sql: str, values: Mapping[str, Any] | Sequence[Any]) -> Answer:
        return cast(Answer, self._park(Asked(sql, values)))


class SharedDatabase(Database):
    """A database as one of several callers sees it. Closing it is up to whoever opened it."""

    def __init__(self, database: Database, park: Park) -> None:
        self._database = database
        self._park = park
        self._parking = cast(Connection, _Parking(database, park))
        self.url, self.is_sqlite = database.url, database.is_sqlite
        self.clock: Clock = database.clock

    @property
    def origin(self) -> Database:
        return self._database

    @contextmanager
    def read(self) -> Iterator[Connection]:
        if self.is_sqlite:
            with self._database.read() as connection:
                yield connection
        else:
            with self._database.told():
                yield self._parking

    def transaction(self, work: Callable[[Connection], T]) -> T:
        return self._write(work) if self.is_sqlite else self._database.transaction(work)

    def statement(self, work: Callable[[Connection], T]) -> T:
        if self.is_sqlite:
            return self._write(work)
        with self._database.told():
            return work(self._parking)

    def _write(self, work: Callable[[Connection], T]) -> T:
        with self._database.told():
            return cast(T, self._park(Asked("", None, work)))


def answer(database: Database, asked: Sequence[Asked]) -> list[Any]:
    """What came of each, in their order: its answer, or the exception that belongs to it."""
    if database.is_sqlite:
        return database.write_all([one.work for one in asked if one.work is not None])
    try:
        with database.read() as connection:
            return list(alike.execute_all(connection, [(one.sql, one.values) for one in asked]))
    except Exception as error:  # noqa: BLE001 - it is handed to those it belongs to
        if len(asked) == 1 or _is_lost(error):
            return [error] * len(asked)
    # One that was refused has undone them all.
    return [answer(database, [one])[0] for one in asked]


def _is_lost(error: Exception) -> bool:
    """Whether it was the connection that failed: then it is open what was done, to everybody alike."""
    found = error.__cause__ if isinstance(error, DatabaseUnavailable) else error
    return not isinstance(found, DBAPIError) or found.connection_invalidated
