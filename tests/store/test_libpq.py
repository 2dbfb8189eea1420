"""Statements without a cursor of psycopg: the same rows and errors, and never a connection left unfit for the next."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from orchestrator.errors import DatabaseUnavailable
from orchestrator.store import libpq
from orchestrator.store.database import Database
from orchestrator.store.driver import execute, execute_together

VALUES = [
    ("int", 0), ("int", -40_000), ("bigint", 1_700_000_000_001), ("text", "plain"), ("text", ""), ("text", None),
    ("text", "ü 100 % 'quoted'\n"), ("boolean", True), ("boolean", False), ("double precision", 0.1),
    ("numeric", Decimal("12.50")), ("bytea", b"\x00\xff"), ("json", '{"a": [1]}'), ("bigint[]", [1, None, 3]),
    ("text[]", ["a", 'b"c\\', None, "", "NULL"]), ("timestamptz", datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC)),
]  # fmt: skip
WRITE = "INSERT INTO written VALUES (%(n)s, %(what)s)"
READ = "SELECT n, what FROM written ORDER BY n"


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    with closing(Database(postgres_url)) as database:
        database.statement(
            lambda connection: execute(connection, "CREATE TABLE written (n int PRIMARY KEY, what text)", ())
        )
        yield database


def written(database: Database) -> list[tuple[int, str | None]]:
    with database.read() as connection:
        return [tuple(row) for row in execute(connection, READ, ())]  # type: ignore[misc]


def write(connection: Connection, n: int, what: str | None = None, **options: Any) -> Any:
    return execute(connection, WRITE, {"n": n, "what": what}, **options)


def prepared(connection: Connection) -> set[str]:
    driver: Any = connection.connection.driver_connection
    return {name for (name,) in driver.execute("SELECT name FROM pg_prepared_statements").fetchall()}


@pytest.mark.parametrize(("kind", "value"), VALUES, ids=[f"{kind} {value!r}" for kind, value in VALUES])
def test_values_come_back_as_through_a_cursor(database: Database, kind: str, value: Any) -> None:
    by_place, by_name = (
        f"SELECT %s::{kind} AS it, '100 %%' AS sign",
        f"SELECT %(it)s::{kind} AS it, %(it)s::{kind} AS too",
    )
    with database.read() as connection:
        driver: Any = connection.connection.driver_connection
        expected = driver.execute(by_place, (value,)).fetchall()
        for _ in range(3):  # as it is, and prepared
            assert [tuple(row) for row in execute(connection, by_place, (value,))] == expected
            ((it, too),) = execute(connection, by_name, {"it": value, "more": 1})
            assert (it, too) == (expected[0][0], expected[0][0])
        (row,) = execute(connection, by_place, (value,), keep=True)
        assert (row.it, row.sign) == (expected[0][0], "100 %")


def test_it_counts_the_rows_that_were_written(database: Database) -> None:
    with database.read() as connection:
        assert [write(connection, n).rowcount for n in range(3)] == [1, 1, 1]
        assert execute(connection, "UPDATE written SET what = 'x' WHERE n > 0", ()).rowcount == 2


@pytest.mark.parametrize("values", [(), (1,), (1, 2, 3)])
def test_as_many_values_as_places_are_needed(database: Database, values: tuple[int, ...]) -> None:
    with database.read() as connection, pytest.raises(DBAPIError, match=f"2 values, and was given {len(values)}"):
        execute(connection, "SELECT %s::int + %s::int", values)


def test_what_cannot_be_stored_is_an_error_and_not_cut_off(database: Database) -> None:
    with pytest.raises(DBAPIError, match="NUL"):
        database.statement(lambda connection: write(connection, 1, "a\0b"))
    assert written(database) == []


@pytest.mark.parametrize("keep", [False, True])
def test_a_refused_statement_leaves_its_connection_fit(database: Database, keep: bool) -> None:
    with database.read() as connection:
        for _ in range(2):
            write(connection, 1, keep=keep)
            with pytest.raises(IntegrityError, match="already exists"):
                write(connection, 1, keep=keep)
            with pytest.raises(DBAPIError, match="nowhere"):
                execute(connection, "SELECT * FROM nowhere", (), keep=keep)
            assert execute(connection, "DELETE FROM written", ()).rowcount == 1


def test_a_transaction_is_one(database: Database) -> None:
    def fail(connection: Connection) -> None:
        write(connection, 1, keep=True)
        raise ValueError("its own")

    for _ in range(3):  # what is prepared must outlive that it is undone
        with pytest.raises(ValueError, match="its own"):
            database.transaction(fail)
    assert written(database) == []
    database.transaction(lambda connection: [write(connection, n, keep=True) for n in (1, 2)])
    assert [n for n, _ in written(database)] == [1, 2]


def test_it_prepares_what_comes_again(database: Database) -> None:
    with database.read() as connection:
        before = prepared(connection)
        execute(connection, "SELECT 1", ())
        assert prepared(connection) == before
        execute(connection, "SELECT 1", ())
        execute(connection, "SELECT 1", ())
        execute(connection, "SELECT 2", (), keep=True)
        assert len(prepared(connection) - before) == 2


def test_it_keeps_no_more_than_so_many(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libpq, "MOST_PREPARED", 3)
    with database.read() as connection:
        for n in (*range(8), *range(8)):
            assert execute(connection, f"SELECT {n}", (), keep=True).scalar_one() == n
            assert len(prepared(connection)) <= 3
        together = execute_together(connection, [(f"SELECT {n}", ()) for n in (0, 1, 2, 0, 1, 2)])
        assert [answer.scalar_one() for answer in together] == [0, 1, 2, 0, 1, 2]
        assert len(prepared(connection)) <= 3


def test_several_are_answered_each_with_its_own(database: Database) -> None:
    with database.read() as connection:
        for first in (0, 10, 20):
            asked = [(WRITE, {"n": n, "what": "x" * n * 10_000}) for n in range(first, first + 5)]
            answers = execute_together(connection, [*asked, (READ, ()), ("SELECT %s::text", ("y" * 1_000_000,))])
            assert [answer.rowcount for answer in answers[:5]] == [1] * 5
            assert [(row.n, len(row.what)) for row in answers[5]][-5:] == [
                (n, n * 10_000) for n in range(first, first + 5)
            ]
            assert answers[6].scalar_one() == "y" * 1_000_000


def test_of_several_all_or_none_are_done(database: Database) -> None:
    with database.read() as connection:
        for n in (1, 2):  # the second time, they are prepared
            with pytest.raises(IntegrityError):
                execute_together(
                    connection, [(WRITE, {"n": n, "what": "a"}), (WRITE, {"n": n, "what": "b"}), (READ, ())]
                )
            assert execute(connection, READ, ()).all() == []
        assert [
            answer.rowcount for answer in execute_together(connection, [(READ, ()), (WRITE, {"n": 1, "what": "a"})])
        ] == [0, 1]


def test_several_with_a_value_that_cannot_be_sent_are_not_done(database: Database) -> None:
    with pytest.raises((DBAPIError, DatabaseUnavailable), match="NUL"), database.read() as connection:
        execute_together(connection, [(WRITE, {"n": 1, "what": "a"}), (WRITE, {"n": 2, "what": "\0"})])
    assert written(database) == []


def test_what_is_done_meanwhile_is_done_before_the_answer(database: Database) -> None:
    """A lock on the row keeps the server from answering until then."""
    database.statement(lambda connection: write(connection, 1, "old"))
    change = "UPDATE written SET what = %s WHERE n = 1 RETURNING what"
    with closing(
        psycopg.connect(database.url.set(drivername="postgresql").render_as_string(hide_password=False))
    ) as other:
        other.execute("SELECT 1 FROM written FOR UPDATE")
        with database.read() as connection:
            answer = execute(connection, change, ("new",), keep=True, meanwhile=other.commit)
    assert answer.scalar_one() == "new"


def test_an_error_meanwhile_undoes_nothing_and_leaves_the_connection_fit(database: Database) -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    with database.read() as connection:
        with pytest.raises(KeyboardInterrupt):
            write(connection, 1, keep=True, meanwhile=fail)
        assert [row.n for row in execute(connection, READ, ())] == [1]


def test_a_server_that_goes_away_in_the_middle_is_told_so(database: Database) -> None:
    gone = "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(60)"
    with pytest.raises(DatabaseUnavailable, match="terminating connection"):
        database.statement(lambda connection: execute(connection, gone, ()))
    with pytest.raises(DatabaseUnavailable):
        database.statement(
            lambda connection: execute_together(connection, [(WRITE, {"n": 1, "what": None}), (gone, ())])
        )
    assert written(database) == []
