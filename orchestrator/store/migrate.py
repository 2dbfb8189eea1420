"""Brings the database to the schema this code needs, and says when it is not there; servers never migrate by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from orchestrator.errors import SchemaAhead, SchemaBehind
from orchestrator.store.database import Database
from orchestrator.store.schema import HEAD, PREFIX

if TYPE_CHECKING:
    from alembic.config import Config

_VERSION_TABLE = PREFIX + "version"
_LOCK_KEY = 0x0C4E57A7  # any number will do, as long as nobody else uses it for an advisory lock


def current(database: Database) -> str | None:
    """The revision of the database; None if it has never been migrated."""
    database.check_reachable()
    with database.read() as connection:
        if not inspect(connection).has_table(_VERSION_TABLE):
            return None
        found: str | None = connection.execute(text(f"SELECT version_num FROM {_VERSION_TABLE}")).scalar_one_or_none()
        return found


def check(database: Database) -> None:
    """Raises SchemaBehind or SchemaAhead, which say what to do, or DatabaseUnavailable."""
    found = current(database)
    if found == HEAD:
        return
    shown = database.url.render_as_string()
    if found is not None and found > HEAD:
        raise SchemaAhead(
            f"The database {shown} has schema {found}, and this code knows schemas up to {HEAD}: it was migrated by a "
            "newer version. Install that version here too."
        )
    state = f"has schema {found}" if found else "has no orchestrator tables yet"
    raise SchemaBehind(f"The database {shown} {state}, and this code needs {HEAD}. Run: orchestrator db upgrade")


def upgrade(database: Database, revision: str = "head") -> str:
    """Migrate to a revision; the revision reached. Two that run at once wait for each other."""
    from alembic import command

    found = current(database)
    if found is not None and found > HEAD:
        check(database)

    def migrate(connection: Connection) -> None:
        if not database.is_sqlite:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})"))
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    database.transaction(migrate)
    return HEAD


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "orchestrator:store/migrations")
    config.set_main_option("path_separator", "os")
    return config
