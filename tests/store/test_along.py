"""What goes along with a write: in its transaction, with the first one only, and all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import Connection

from orchestrator.store.database import Database
from orchestrator.store.inbox import note


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url)) as opened:
        yield opened


def noting(id: str) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        assert note(connection, id, 1)

    return work


def noted(database: Database) -> list[str]:
    with database.read() as connection:
        found = connection.exec_driver_sql("SELECT id FROM orchestrator_messages ORDER BY id")
        return [row[0] for row in found]


@pytest.mark.parametrize("write", [Database.transaction, Database.statement])
def test_it_goes_with_the_first_write_and_no_other(database: Database, write: Callable[..., None]) -> None:
    calls: list[str] = []
    with database.along(before=lambda _: calls.append("before"), after=lambda _: calls.append("after")):
        write(database, lambda _: calls.append("one"))
        write(database, lambda _: calls.append("two"))
    write(database, lambda _: calls.append("three"))
    assert calls == ["before", "one", "after", "two", "three"]


@pytest.mark.parametrize("write", [Database.transaction, Database.statement])
def test_it_holds_together_with_the_write_or_neither_holds(database: Database, write: Callable[..., None]) -> None:
    def refuse(_: Connection) -> None:
        raise LookupError

    with database.along(before=noting("a"), after=refuse), pytest.raises(LookupError):
        write(database, noting("b"))
    assert noted(database) == []
    with database.along(after=noting("c")):
        with pytest.raises(LookupError):
            write(database, refuse)
        assert noted(database) == []
        write(database, noting("d"))
    assert noted(database) == ["c", "d"]


def test_several_go_along_once(database: Database) -> None:
    with database.along(after=noting("outer")):
        with database.along(before=noting("inner")):
            database.transaction(noting("a"))
        database.transaction(noting("b"))
    assert noted(database) == ["a", "b", "inner", "outer"]


def test_other_threads_are_not_concerned(database: Database) -> None:
    with database.along(after=noting("mine")), ThreadPoolExecutor(1) as pool:
        pool.submit(database.transaction, noting("theirs")).result()
        assert noted(database) == ["theirs"]


def test_what_met_no_write_goes_with_none(database: Database) -> None:
    with database.along(after=noting("never")):
        pass
    database.transaction(noting("a"))
    assert noted(database) == ["a"]
