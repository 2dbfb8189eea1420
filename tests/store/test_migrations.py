"""The schema: made by migrations alone, on both databases, and refused where it is not the one this code needs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from orchestrator import Client, Settings
from orchestrator.errors import SchemaAhead, SchemaBehind
from orchestrator.store import migrate
from orchestrator.store.database import Database
from orchestrator.store.schema import HEAD, PREFIX, metadata


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Database]:
    with closing(Database(empty_database_url)) as database:
        yield database


def differences(database: Database) -> Any:
    with database.read() as connection:
        options = {
            "version_table": PREFIX + "version",
            "compare_type": True,
            "compare_server_default": not database.is_sqlite,  # SQLite shows none for a column that numbers its rows
            "include_name": lambda name, kind, parents: kind != "table" or name.startswith(PREFIX),
        }
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)


def stamp(database: Database, revision: str) -> None:
    database.transaction(
        lambda connection: connection.execute(
            text(f"UPDATE {PREFIX}version SET version_num = :revision"), {"revision": revision}
        )
    )


def test_an_empty_database_is_brought_to_the_schema_this_code_needs(empty: Database) -> None:
    assert migrate.current(empty) is None
    assert migrate.upgrade(empty) == HEAD
    assert migrate.current(empty) == HEAD
    migrate.check(empty)


def test_the_migrated_schema_is_the_one_the_code_describes(empty: Database) -> None:
    migrate.upgrade(empty)
    assert differences(empty) == []


def test_the_difference_would_be_seen(empty: Database) -> None:
    migrate.upgrade(empty)
    empty.transaction(lambda connection: connection.execute(text(f"DROP INDEX ix_{PREFIX}instances_ring_at")))
    assert differences(empty) != []


def test_upgrading_twice_changes_nothing(empty: Database) -> None:
    migrate.upgrade(empty)
    empty.transaction(
        lambda connection: connection.execute(text(f"INSERT INTO {PREFIX}workers VALUES ('w', 1, 1, '{{}}')"))
    )
    assert migrate.upgrade(empty) == HEAD
    with empty.read() as connection:
        assert connection.execute(text(f"SELECT count(*) FROM {PREFIX}workers")).scalar_one() == 1


def test_two_that_upgrade_at_once_wait_for_each_other(empty_database_url: str) -> None:
    results: list[Any] = []

    def upgrade() -> None:
        try:
            with closing(Database(empty_database_url)) as database:
                results.append(migrate.upgrade(database))
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=upgrade) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [HEAD] * 3


def test_the_head_the_code_names_is_the_head_of_the_migrations() -> None:
    assert ScriptDirectory.from_config(migrate._config()).get_heads() == [HEAD]


def test_migrations_are_numbered_so_that_later_ones_compare_greater() -> None:
    revisions = [script.revision for script in ScriptDirectory.from_config(migrate._config()).walk_revisions()]
    assert sorted(revisions, reverse=True) == revisions
    assert all(len(revision) == 4 and revision.isdigit() for revision in revisions)


def test_a_migration_can_be_taken_back(empty: Database) -> None:
    from alembic import command

    migrate.upgrade(empty)

    def downgrade(connection: Any) -> None:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")

    empty.transaction(downgrade)
    with empty.read() as connection:
        assert inspect(connection).get_table_names() == [PREFIX + "version"]


@pytest.mark.parametrize("stamped", [None, "0000"])
def test_a_database_behind_is_refused_with_the_command_to_run(empty: Database, stamped: str | None) -> None:
    if stamped:
        migrate.upgrade(empty)
        stamp(empty, stamped)
    state = "has schema 0000" if stamped else "has no orchestrator tables yet"
    with pytest.raises(
        SchemaBehind, match=f"{state}, and this code needs {HEAD}. Run: orchestrator db upgrade"
    ) as refused:
        migrate.check(empty)
    assert (refused.value.code, empty.url.database in str(refused.value)) == ("database.behind", True)


def test_a_database_ahead_is_refused_by_check_and_by_upgrade(empty: Database) -> None:
    migrate.upgrade(empty)
    stamp(empty, "9999")
    for refuse in (migrate.check, migrate.upgrade):
        with pytest.raises(
            SchemaAhead, match=r"has schema 9999.*newer version. Install that version here too"
        ) as refused:
            refuse(empty)
        assert refused.value.code == "database.ahead"
    assert migrate.current(empty) == "9999"


@pytest.mark.parametrize(("stamped", "error"), [("0000", SchemaBehind), ("9999", SchemaAhead)])
def test_a_client_refuses_a_schema_that_is_not_its_own_before_it_does_anything(
    empty: Database, stamped: str, error: type[Exception]
) -> None:
    migrate.upgrade(empty)
    stamp(empty, stamped)
    url = empty.url.render_as_string(hide_password=False)
    with Client(Settings(database_url=url)) as client, pytest.raises(error):
        client.workflows()
