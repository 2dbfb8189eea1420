"""Statements straight through the database's driver; it spells none, and nothing else goes past SQLAlchemy.

SQLAlchemy keeps the pool, the transactions and the errors; what a constant statement with plain values does not need is
its compilation, its context and its result. Processor time per call of a lookup by key, on PostgreSQL: 336 µs through a
Connection, 168 µs through a cursor of psycopg; store.libpq does without that too.
"""

from __future__ import annotations

import functools
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, MultipleResultsFound, NoResultFound

_made: dict[str, Any] = {}
"""What makes the rows of each statement that returns any: to ask for the names of their columns costs as much as the rows."""
MANY = 1000

_CURSOR = "orchestrator cursor"
_SESSION = "orchestrator session"


class Row(tuple[Any, ...]):
    """A row: its values, also by the names of their columns. For the types only: what there is are named tuples."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


class Answer:
    """What a statement returned, read to its end. Rows are named tuples."""

    __slots__ = ("rowcount", "rows")

    def __init__(self, rows: list[Row], rowcount: int) -> None:
        self.rows = rows
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def all(self) -> list[Row]:
        return self.rows

    def first(self) -> Row | None:
        return self.rows[0] if self.rows else None

    def one_or_none(self) -> Row | None:
        """Raises MultipleResultsFound."""
        if len(self.rows) > 1:
            raise MultipleResultsFound("There is more than one row where at most one was expected.")
        return self.rows[0] if self.rows else None

    def one(self) -> Row:
        """Raises NoResultFound, MultipleResultsFound."""
        row = self.one_or_none()
        if row is None:
            raise NoResultFound("There is no row where one was expected.")
        return row

    def scalar_one(self) -> Any:
        return self.one()[0]

    def scalar_one_or_none(self) -> Any | None:
        row = self.one_or_none()
        return None if row is None else row[0]

    def scalars(self) -> list[Any]:
        """The first value of each row."""
        return [row[0] for row in self.rows]


class Session(Protocol):
    """What carries out the statements of one connection instead of a cursor (see store.libpq)."""

    def execute(
        self,
        sql: str,
        values: Mapping[str, Any] | Sequence[Any],
        *,
        keep: bool,
        meanwhile: Callable[[], object] | None,
    ) -> Answer: ...
    def execute_all(self, statements: Sequence[tuple[str, Any]]) -> list[Answer]: ...


def carry_out(info: Any, session: Session) -> None:
    """Have the statements of the connection that this is the `info` of carried out by a session."""
    info[_SESSION] = session


def execute(
    connection: Connection,
    sql: str,
    values: Mapping[str, Any] | Sequence[Any],
    *,
    keep: bool = False,
    meanwhile: Callable[[], object] | None = None,
) -> Answer:
    """Run a statement in the spelling of the driver. `keep`: prepare it on PostgreSQL at its first use.

    `meanwhile` is called while the server is at it; not where there is none, or the round trip is shared with others.

    Raises DBAPIError, of the same kinds as SQLAlchemy does.
    """
    if (later := getattr(connection, "execute_later", None)) is not None:
        return later(sql, values)  # type: ignore[no-any-return]
    session = connection.info.get(_SESSION)
    try:
        if session is not None:
            return session.execute(sql, values, keep=keep, meanwhile=meanwhile)  # type: ignore[no-any-return]
        cursor = _cursor(connection)
        cursor.execute(sql, values)
        return _answer_of(cursor, sql)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _translated(connection, sql, error) from error


def _answer_of(cursor: Any, sql: str) -> Answer:
    """Everything that the statement returned."""
    columns = cursor.description
    if columns is None:
        return Answer([], cursor.rowcount)
    make = row_maker(sql, lambda: [column[0] for column in columns])
    return Answer([make(row) for row in cursor.fetchall()], cursor.rowcount)


def row_maker(sql: str, names: Callable[[], Sequence[str]]) -> Callable[[Sequence[Any]], Row]:
    """What makes a row of what a statement returns of the values in it; `names`: of its columns."""
    make = _made.get(sql)
    if make is None:
        make = _row_type(tuple(names()))._make
        if len(_made) < MANY:
            _made[sql] = make
    return make  # type: ignore[no-any-return]


def execute_together(connection: Connection, statements: Sequence[tuple[str, Any]]) -> list[Answer]:
    """Run statements in one round trip on PostgreSQL: in the connection's transaction, or in one of their own if it is in
    none. All are prepared at their first use.

    Raises DBAPIError for the first that was refused; then nothing was done.
    """
    if len(statements) == 1:
        return [execute(connection, *statements[0], keep=True)]
    try:
        return connection.info[_SESSION].execute_all(statements)  # type: ignore[no-any-return]
    except connection.dialect.loaded_dbapi.Error as error:
        raise _translated(connection, statements[0][0], error) from error


def execute_many(connection: Connection, sql: str, rows: Sequence[Mapping[str, Any] | Sequence[Any]]) -> Answer:
    cursor = _cursor(connection)
    try:
        cursor.executemany(sql, rows)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _translated(connection, sql, error) from error
    return Answer([], cursor.rowcount)


def _cursor(connection: Connection) -> Any:
    """One for each connection of the driver, as long as that lives."""
    known = connection.info.get(_CURSOR)
    if known is None:
        driver = connection.connection.driver_connection
        assert driver is not None
        known = connection.info[_CURSOR] = driver.cursor()
    return known


@functools.lru_cache(maxsize=512)
def _row_type(names: tuple[str, ...]) -> Any:
    return namedtuple("Row", names, rename=True)


def _translated(connection: Connection, sql: str, error: Exception) -> BaseException:
    """As SQLAlchemy's own execution has it: a lost connection takes the others of its pool with it."""
    lost = connection.dialect.is_disconnect(error, connection.connection.driver_connection, None)  # type: ignore[arg-type]
    if lost:
        connection.invalidate(error)
        connection.engine.dispose()
    return DBAPIError.instance(
        sql, None, error, connection.dialect.loaded_dbapi.Error, hide_parameters=True, connection_invalidated=lost,
        dialect=connection.dialect,
    )  # fmt: skip
