"""Connections are kept between uses, and never where that could keep others from one, or hand on a lost one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from orchestrator.errors import DatabaseUnavailable
from orchestrator.store.database import Database, parse_url
from orchestrator.store.kept_connections import KeptConnections

WAIT_S = 20


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """With one connection at most."""
    made = create_engine(parse_url(database_url), pool_size=1, max_overflow=0, pool_timeout=0.2)
    yield made
    made.dispose()


def number(database: Database) -> object:
    with database.read() as connection:
        return connection.connection.driver_connection


def test_a_connection_is_used_again(database_url: str) -> None:
    with closing(Database(database_url)) as database:
        assert number(database) is number(database)


def test_one_that_was_left_in_a_transaction_is_in_none_when_it_is_used_again(engine: Engine) -> None:
    kept = KeptConnections(engine, 1)
    with kept.use() as first:
        first.execute(text("SELECT 1"))
        assert first.in_transaction()
    with kept.use() as second:
        assert second is first
        assert not second.in_transaction()
    kept.close()


def test_one_that_met_an_error_goes_back_to_the_pool(engine: Engine) -> None:
    kept = KeptConnections(engine, 1)
    with pytest.raises(ValueError, match="its own"), kept.use() as first:
        raise ValueError("its own")
    assert first.closed
    with kept.use() as second:
        assert second is not first
    kept.close()


def test_as_many_as_the_pool_allows_are_in_use_at_once(engine: Engine) -> None:
    kept = KeptConnections(engine, 1)
    with kept.use(), pytest.raises(PoolTimeout), kept.use():
        pass
    kept.close()


def test_whoever_waits_for_one_gets_the_one_that_is_given_back(database_url: str) -> None:
    engine = create_engine(parse_url(database_url), pool_size=1, max_overflow=0, pool_timeout=WAIT_S)
    kept = KeptConnections(engine, 1)
    got = threading.Event()

    def ask() -> None:
        with kept.use():
            got.set()

    with kept.use():
        thread = threading.Thread(target=ask)
        thread.start()
        while not kept._asking:
            pass
        assert not got.is_set()
    assert got.wait(WAIT_S / 2)
    thread.join()
    kept.close()
    engine.dispose()


def test_one_that_was_kept_for_long_is_renewed_by_the_pool(engine: Engine) -> None:
    kept = KeptConnections(engine, 1, renew_s=0)
    with kept.use() as first:
        pass
    with kept.use() as second:
        assert second is not first
    assert first.closed
    kept.close()


def test_none_is_kept_after_the_close(engine: Engine) -> None:
    kept = KeptConnections(engine, 1)
    with kept.use() as first:
        kept.close()
    assert first.closed


def test_when_one_is_lost_the_others_are_not_used_again(postgres_url: str) -> None:
    with closing(Database(postgres_url)) as database:
        with database.read() as one, database.read() as two:
            lost = [c.execute(text("SELECT pg_backend_pid()")).scalar_one() for c in (one, two)]
        with closing(Database(postgres_url)) as other, other.read() as connection:
            for pid in lost:
                connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        with pytest.raises(DatabaseUnavailable), database.read() as connection:
            connection.execute(text("SELECT 1"))
        with database.read() as connection:
            assert connection.execute(text("SELECT pg_backend_pid()")).scalar_one() not in lost
