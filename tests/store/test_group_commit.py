"""On SQLite writers share commits: none may suffer for another's mistake, and none is told too early."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from orchestrator.store.database import Database

ADD = text(
    "INSERT INTO orchestrator_workflows (name, class_name, module, queue, created_at, seen_at) "
    "VALUES (:name, 'c', 'm', 'q', 0, 0)"
)


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    with closing(Database(sqlite_url)) as opened:
        yield opened


def names(url: str) -> list[str]:
    """As another process sees them."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return [row[0] for row in connection.execute("SELECT name FROM orchestrator_workflows ORDER BY name")]


def together(database: Database, *works: Callable[[Connection], Any]) -> list[Any]:
    """Run works in one commit: they queue up behind one that waits for them. Results, or the errors raised."""
    results: list[Any] = [None] * len(works)
    writing, queued = threading.Event(), threading.Event()

    def first(connection: Connection) -> None:
        writing.set()
        assert queued.wait(10)

    def one(number: int) -> None:
        try:
            results[number] = database.transaction(works[number])
        except Exception as error:
            results[number] = error

    blocker = threading.Thread(target=database.transaction, args=(first,))
    blocker.start()
    assert writing.wait(10)
    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    while len(database._writer._queue) < len(works):  # type: ignore[union-attr]
        threading.Event().wait(0.001)
    queued.set()
    for thread in [blocker, *threads]:
        thread.join()
    return results


def adding(name: str) -> Callable[[Connection], str]:
    def work(connection: Connection) -> str:
        connection.execute(ADD, {"name": name})
        return name

    return work


def failing(name: str, error: Exception) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        connection.execute(ADD, {"name": name})
        raise error

    return work


def test_those_who_wait_for_the_writer_share_one_commit(database: Database, sqlite_url: str) -> None:
    assert together(database, *(adding(f"w{n}") for n in range(5))) == [f"w{n}" for n in range(5)]
    assert names(sqlite_url) == [f"w{n}" for n in range(5)]


def test_one_that_fails_undoes_its_own_changes_and_nobody_elses(database: Database, sqlite_url: str) -> None:
    error = ValueError("mine")
    results = together(database, adding("a"), failing("b", error), adding("c"), adding("a"), adding("d"))
    assert results[0] == "a" or results[3] == "a"
    assert results[1] is error
    assert sorted(type(result).__name__ for result in results) == ["IntegrityError", "ValueError", "str", "str", "str"]
    assert names(sqlite_url) == ["a", "c", "d"]


def test_one_alone_that_fails_leaves_nothing_and_the_next_goes_on(database: Database, sqlite_url: str) -> None:
    with pytest.raises(ValueError, match="mine"):
        database.transaction(failing("a", ValueError("mine")))
    database.transaction(adding("a"))
    with pytest.raises(IntegrityError):
        database.statement(adding("a"))
    database.transaction(adding("b"))
    assert names(sqlite_url) == ["a", "b"]


def test_a_commit_that_fails_is_told_to_everybody_who_waited_for_it(database: Database, sqlite_url: str) -> None:
    def breaking(connection: Connection) -> None:
        connection.exec_driver_sql("ROLLBACK")  # as SQLite does by itself when the disk is full

    results = together(database, adding("a"), breaking, adding("c"))
    assert all(isinstance(result, Exception) for result in results), results
    assert names(sqlite_url) == []
    database.transaction(adding("after"))
    assert names(sqlite_url) == ["after"]


def test_many_writers_at_once_lose_nothing(database: Database, sqlite_url: str) -> None:
    def write(worker: int) -> None:
        for number in range(25):
            database.transaction(adding(f"{worker}-{number}"))

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(sqlite_url)) == 150


def test_two_processes_write_in_turn(database: Database, sqlite_url: str) -> None:
    with closing(Database(sqlite_url)) as other:
        threads = [
            threading.Thread(target=lambda d=each, n=name: [d.transaction(adding(f"{n}{i}")) for i in range(30)])
            for name, each in (("a", database), ("b", other))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(names(sqlite_url)) == 60


def test_what_others_commit_is_noticed_and_what_oneself_commits_is_not(database: Database, sqlite_url: str) -> None:
    before = database.foreign_commits()
    database.transaction(adding("own"))
    assert database.foreign_commits() == before
    with closing(Database(sqlite_url)) as other:
        other.transaction(adding("foreign"))
    assert database.foreign_commits() != before


@pytest.mark.parametrize(("given", "stored"), [("FULL", 2), ("NORMAL", 1)])
def test_what_was_committed_survives_a_power_cut_unless_that_was_given_up(
    sqlite_url: str, given: str, stored: int
) -> None:
    with closing(Database(sqlite_url, synchronous=given)) as database:
        found = database.transaction(lambda c: c.exec_driver_sql("PRAGMA synchronous").scalar_one())
        mode = database.transaction(lambda c: c.exec_driver_sql("PRAGMA journal_mode").scalar_one())
    assert (found, mode) == (stored, "wal")
