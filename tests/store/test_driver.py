"""Statements that go past SQLAlchemy: their rows, and errors that are the same as if they had not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, MultipleResultsFound, NoResultFound

from orchestrator.errors import DatabaseUnavailable
from orchestrator.store.database import Database
from orchestrator.store.sql import Statement
from tests.store.conftest import Store

SEVERAL = Statement("SELECT name, class_name AS shown FROM @workflows WHERE name IN :names ORDER BY name", "names")
ADD = Statement("""
    INSERT INTO @workflows (name, class_name, module, queue, created_at, seen_at)
    VALUES (:name, 'A 100 %: done', 'app', 'default', 1, 1)
""")
WRONG = Statement("SELECT absent FROM @nowhere")


def test_rows_have_names_and_lists_may_be_empty(store: Store) -> None:
    store.database.transaction(lambda connection: ADD(connection, [{"name": "a"}, {"name": "b"}, {"name": "c"}]))

    with store.database.read() as connection:
        found = SEVERAL(connection, names=["c", "a", "x"]).all()
        assert [(row.name, row.shown) for row in found] == [("a", "A 100 %: done"), ("c", "A 100 %: done")]
        assert SEVERAL(connection, names=[]).all() == []
        assert SEVERAL(connection, names=["b"]).scalars() == ["b"]


def test_more_or_fewer_rows_than_expected_are_an_error(store: Store) -> None:
    store.database.transaction(lambda connection: ADD(connection, [{"name": "a"}, {"name": "b"}]))

    with store.database.read() as connection:
        with pytest.raises(MultipleResultsFound):
            SEVERAL(connection, names=["a", "b"]).one_or_none()
        with pytest.raises(NoResultFound):
            SEVERAL(connection, names=["x"]).one()


def test_what_is_wrong_with_a_statement_is_told_as_sqlalchemy_tells_it_and_without_its_values(store: Store) -> None:
    with pytest.raises((DBAPIError, DatabaseUnavailable)) as raised, store.database.read() as connection:
        WRONG(connection, secret="hush")

    assert "nowhere" in str(raised.value)
    assert "hush" not in str(raised.value)


def test_a_refused_write_leaves_the_connection_fit_for_the_next(store: Store) -> None:
    store.database.transaction(lambda connection: ADD(connection, name="a"))
    with pytest.raises(DBAPIError):
        store.database.transaction(lambda connection: ADD(connection, name="a"))
    store.database.transaction(lambda connection: ADD(connection, name="b"))

    with store.database.read() as connection:
        assert SEVERAL(connection, names=["a", "b"]).scalars() == ["a", "b"]


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[Database]:
    with closing(Database(postgres_url)) as database:
        yield database


def test_a_server_that_has_dropped_all_connections_costs_one_call(postgres_database: Database) -> None:
    """The pool has two connections then, and each of them is dead."""
    database = postgres_database
    with database.read() as one, database.read() as other:
        pids = [connection.execute(text("SELECT pg_backend_pid()")).scalar_one() for connection in (one, other)]
    database.transaction(
        lambda connection: [connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid}) for pid in pids]
    )

    with pytest.raises(DatabaseUnavailable), database.read() as connection:
        SEVERAL(connection, names=["a"])
    for _ in range(2):
        with database.read() as one, database.read() as other:
            assert SEVERAL(one, names=["a"]).all() == SEVERAL(other, names=["a"]).all() == []
