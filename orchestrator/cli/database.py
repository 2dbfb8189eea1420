"""`orchestrator db`: bring the database to the schema of this code, and say where it is; it holds no SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from orchestrator.cli.command import command
from orchestrator.cli.configuration import database_words, settings_with
from orchestrator.cli.lazy import Entry, LazyGroup
from orchestrator.cli.output import Output, note, table

if TYPE_CHECKING:
    from orchestrator.store.database import Database

COMMANDS = {
    "upgrade": Entry("orchestrator.cli.database:upgrade", "Create the tables, or bring them up to this code."),
    "current": Entry("orchestrator.cli.database:current", "Show the schema of the database and of this code."),
}


@click.group("db", cls=LazyGroup, entries=COMMANDS)
def db() -> None:
    """Create and upgrade the database that ORCHESTRATOR_DATABASE_URL (or DATABASE_URL) names."""


@command("upgrade")
def upgrade(ctx: click.Context) -> None:
    """Create the tables, or bring them up to this code. Safe to run twice, and by two at once."""
    from orchestrator.store import migrate

    with _database() as (database, shown):
        before = migrate.current(database)
        after = migrate.upgrade(database)
    output = Output.of(ctx)
    output.record({"database": shown, "before": before, "after": after}, id=after, show=lambda: None)
    if output.for_people:
        what = "was at" if before == after else f"went from {before or 'nothing'} to"
        note(f"✅ The database ({shown}) {what} schema {after}")


@command("current")
def current(ctx: click.Context) -> None:
    """Show the schema of the database and of this code."""
    from orchestrator.store import migrate
    from orchestrator.store.schema import HEAD

    with _database() as (database, shown):
        found = migrate.current(database)
    state = "empty" if found is None else "current" if found == HEAD else "behind" if found < HEAD else "ahead"
    data = {"database": shown, "schema": found, "code": HEAD, "state": state}
    rows = [("Database", shown), ("Its schema", found or "—"), ("This code's", HEAD), ("State", state)]
    output = Output.of(ctx)
    output.record(data, id=found or "", show=lambda: table(("", ""), rows))
    if output.for_people and state in ("empty", "behind"):
        note("Next: orchestrator db upgrade")


@contextmanager
def _database() -> Iterator[tuple[Database, str]]:
    from orchestrator.store.database import Database

    url = settings_with().database_url
    database = Database(url)
    try:
        yield database, database_words(url)
    finally:
        database.close()
