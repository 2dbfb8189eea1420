"""A database of a test's own: a file that is gone with the test; the tables are made once for a process and copied."""

from __future__ import annotations

import tempfile
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from orchestrator.clock import Clock
from orchestrator.store import migrate
from orchestrator.store.database import Database
from orchestrator.store.schema import HEAD


class TemporaryDatabase:
    """Durable for as long as the test lasts, and no longer: so it need not wait for the disk."""

    def __init__(self, clock: Clock) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="orchestrator-test-", ignore_cleanup_errors=True)
        file = Path(self._folder.name) / "test.db"
        file.write_bytes(_tables())
        self.database = _fast(file, clock)

    def close(self) -> None:
        self.database.close()
        self._folder.cleanup()


def given(url: str, clock: Clock) -> Database:
    """The database of an address, with its tables if it has none yet. Raises SchemaAhead, DatabaseUnavailable."""
    database = Database(url, clock=clock)
    try:
        if migrate.current(database) != HEAD:
            migrate.upgrade(database)
    except BaseException:
        database.close()
        raise
    return database


@lru_cache(maxsize=1)
def _tables() -> bytes:
    with tempfile.TemporaryDirectory(prefix="orchestrator-test-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "template.db"
        with closing(_fast(file)) as database:
            migrate.upgrade(database)
        return file.read_bytes()


def _fast(file: Path, clock: Clock | None = None) -> Database:
    return Database(f"sqlite:///{file.as_posix()}", clock=clock, synchronous="OFF")
