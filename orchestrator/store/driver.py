"""Statements straight through the database's driver; it spells none, and nothing else goes past SQLAlchemy.

SQLAlchemy keeps the pool, the transactions and the errors; what a constant statement with plain values does not need is
its compilation, its context and its result. Processor time per call of a lookup by key, on PostgreSQL: 336 µs through a
Connection, 168 µs through a cursor of psycopg.
"""

from __future__ import annotations

import functools
from collections import namedtuple
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, MultipleResultsFound, NoResultFound

_made: dict[str, Any] = {}
"""The type of the rows of each statement that returns any: psycopg's description of them costs as much as the rows."""
MANY = 1000

_CURSOR = "orchestrator cursor"


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


def execute(
    connection: Connection, sql: str, values: Mapping[str, Any] | Sequence[Any], *, keep: bool = False
) -> Answer:
    """Run a statement in the spelling of the driver. `keep`: prepare it on PostgreSQL at its first use.

    Raises DBAPIError, of the same kinds as SQLAlchemy does.
    """
    if (later := getattr(connection, "execute_later", None)) is not None:
        return later(sql, values)  # type: ignore[no-any-return]
    cursor = _cursor(connection)
    try:
        if keep and connection.dialect.name == "postgresql":
            cursor.execute(sql, values, prepare=True)
        else:
            cursor.execute(sql, values)
        return _answer_of(cursor, sql)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _translated(connection, sql, error) from error


def _answer_of(cursor: Any, sql: str) -> Answer:
    """Everything that the statement returned."""
    make = _made.get(sql)
    if make is None:
        columns = cursor.description
        if columns is None:
            return Answer([], cursor.rowcount)
        make = _row_type(tuple([column[0] for column in columns]))
        if len(_made) < MANY:
            _made[sql] = make
    found = cursor.fetchall()
    return Answer([make(*row) for row in found], cursor.rowcount)


def execute_together(connection: Connection, statements: Sequence[tuple[str, Any]]) -> list[Answer]:
    """Run statements in one round trip on PostgreSQL: in the connection's transaction, or in one of their own if it is in
    none. All are prepared at their first use.

    Raises DBAPIError for the first that was refused; then nothing was done.
    """
    if len(statements) == 1:
        return [execute(connection, *statements[0], keep=True)]
    driver: Any = connection.connection.driver_connection
    sql = ""
    try:
        with driver.pipeline():
            cursors = []
            for sql, values in statements:
                cursor = driver.cursor()
                cursor.execute(sql, values, prepare=True)
                cursors.append(cursor)
        return [_answer_of(cursor, sql) for cursor, (sql, _) in zip(cursors, statements, strict=True)]
    except connection.dialect.loaded_dbapi.Error as error:
        raise _translated(connection, sql, error) from error


def execute_many(connection: Connection, sql: str, rows: Sequence[Mapping[str, Any]]) -> Answer:
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
