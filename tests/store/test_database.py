"""Connections: an address that is wrong or a server that is away is told in words, without the password."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from orchestrator import Client, Settings
from orchestrator.errors import DatabaseUnavailable, SettingsError
from orchestrator.store.database import Database
from orchestrator.store.driver import execute


@pytest.mark.parametrize("url", ["mysql://u:secret@host/db", "nonsense", "://", "sqlite", "oracle+x://u:secret@h/d"])
def test_an_address_that_is_not_of_a_supported_database_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"sqlite:///path/to/file\.db") as refused:
        Database(url)
    assert "secret" not in str(refused.value)
    assert "postgresql://" in str(refused.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_a_postgresql_address_means_the_same_driver(scheme: str) -> None:
    with closing(Database(f"{scheme}://u:p@127.0.0.1:1/db")) as database:
        assert database.url.drivername == "postgresql+psycopg"


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    settings = Settings(database_url="postgresql://ann:secret@127.0.0.1:1/shop")
    with Client(settings) as client, pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1:1/shop") as refused:
        client.workflows()
    assert refused.value.code == "database.unavailable"
    assert "secret" not in str(refused.value)
    assert "DATABASE_URL" in str(refused.value)


def test_a_file_that_is_no_database_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_text("this is no database, and long enough to be looked at as one " * 20)
    with Client(Settings(database_url=f"sqlite:///{tmp_path}/shop.db")) as client:
        with pytest.raises(DatabaseUnavailable, match=r"shop\.db"):
            client.workflows()
    assert (tmp_path / "shop.db").read_text().startswith("this is no database")


def test_a_folder_that_can_not_be_made_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnavailable, match=r"shop\.db can't be made: .*DATABASE_URL=sqlite:///path/to/file.db"):
        Database(f"sqlite:///{tmp_path}/file/shop.db")


def test_the_folder_of_a_new_file_is_made(tmp_path: Path) -> None:
    with closing(Database(f"sqlite:///{tmp_path}/new/folder/shop.db")) as database:
        database.check_reachable()
    assert (tmp_path / "new" / "folder" / "shop.db").exists()


def test_a_connection_that_is_in_use_while_the_database_is_closed_is_closed_when_it_is_given_back(
    database_url: str,
) -> None:
    database = Database(database_url)
    with database.read() as connection:
        kept = connection.connection.driver_connection
        assert kept is not None
        database.close()
    with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError)):
        kept.execute("SELECT 1")


def test_a_snapshot_stays_as_it_was_and_leaves_its_connection_in_no_transaction(database_url: str) -> None:
    with closing(Database(database_url)) as database:
        database.statement(lambda c: c.exec_driver_sql("CREATE TABLE counted (n INTEGER)"))
        count = "SELECT count(*) FROM counted"
        with database.snapshot() as connection:
            before = execute(connection, count, ()).scalar_one()
            database.statement(lambda c: c.exec_driver_sql("INSERT INTO counted VALUES (1)"))
            assert (before, execute(connection, count, ()).scalar_one()) == (0, 0)
        with pytest.raises(KeyError), database.snapshot():
            raise KeyError
        with database.read() as connection:
            assert execute(connection, count, ()).scalar_one() == 1
            database.statement(lambda c: c.exec_driver_sql("INSERT INTO counted VALUES (2)"))
            assert execute(connection, count, ()).scalar_one() == 2
