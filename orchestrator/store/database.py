"""Connections and transactions on PostgreSQL and SQLite: how a write is made durable, and nothing of what is written."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    NotSupportedError,
    OperationalError,
)
from sqlalchemy.exc import DatabaseError as SQLAlchemyDatabaseError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from orchestrator.clock import Clock, DatabaseClock, SystemClock, monotonic
from orchestrator.errors import DatabaseUnavailable, SettingsError
from orchestrator.store.driver import carry_out, execute
from orchestrator.store.group_commit import GroupCommit
from orchestrator.store.kept_connections import KeptConnections

T = TypeVar("T")
Part = Callable[[Connection], None]

_BUSY_S = 10
_SQLITE_PRAGMAS = (
    f"busy_timeout={_BUSY_S * 1000}",
    "foreign_keys=ON",
    "temp_store=MEMORY",
    "cache_size=-16000",
    "mmap_size=134217728",
)
_CLOCK_SAMPLES, _PROMPT_NS = 5, 2_000_000
_PG_NOW_MS = text("SELECT extract(epoch FROM clock_timestamp()) * 1000")


class _Along(threading.local):
    """What goes with the next write of a thread."""

    parts: tuple[tuple[Part | None, Part | None], ...] = ()


def _data_version(connection: Connection) -> int:
    # On the one connection that writes for this process: what the process itself commits does not change it there.
    return int(connection.connection.cursor().execute("PRAGMA data_version").fetchone()[0])


class Database:
    """Open connections lazily, so that a process may be forked before the first use and never after.

    `transaction` and `statement` differ on PostgreSQL only: a single statement commits by itself, one round trip
    instead of three.
    """

    def __init__(self, url: str, *, clock: Clock | None = None, pool_size: int = 10, synchronous: str = "FULL") -> None:
        self.url = parse_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.clock: Clock = clock or (SystemClock() if self.is_sqlite else DatabaseClock())
        self._writer: GroupCommit | None = None
        self._pool_size = pool_size
        self._along = _Along()
        if self.is_sqlite:
            self._make_folder()
            self._reader = self._sqlite_engine(synchronous, pool_size)
            self._writer_engine = self._sqlite_engine(synchronous, 1)
            self._writer = GroupCommit(self._writer_engine)
        else:
            options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 10, "pool_recycle": 1800}
            # psycopg prepares nothing by itself: what it had it would forget at a ROLLBACK, and ours with it (store.libpq).
            options["connect_args"] = {
                "connect_timeout": 10, "options": "-c lock_timeout=10s", "prepare_threshold": None,
            }  # fmt: skip
            self._engine = create_engine(self.url, **options)
            self._reader = create_engine(
                self.url, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True, **options
            )
            for engine in (self._engine, self._reader):
                event.listen(engine, "connect", _carry_out_by_libpq)
            self._transactions = KeptConnections(self._engine, pool_size)
        self._reading = KeptConnections(self._reader, pool_size)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading. Each statement sees what is committed when it starts."""
        with self.told(), self._reading.use() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection for reading. All statements see what was committed when the first of them started."""
        with self.read() as connection:
            execute(connection, "BEGIN" if self.is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", ())
            try:
                yield connection
            finally:
                if not connection.invalidated:
                    execute(connection, "COMMIT", ())  # a ROLLBACK makes psycopg forget what it has prepared

    def transaction(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction that is durable when this returns. It must only touch the database.

        On SQLite several callers' transactions may share one commit, so `work` may run on another thread.
        Raises DatabaseUnavailable, here and below, if the database does not carry it out.
        """
        if self._along.parts:
            return self._together(work)
        return self._transaction(work)

    def statement(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which executes exactly one statement, or several at once (see sql.together), durably."""
        if self._along.parts:
            return self._together(work)
        with self.told():
            if self._writer is not None:
                return self._writer.run(work)
            with self._reading.use() as connection:
                return work(connection)

    def write_all(self, works: Sequence[Callable[[Connection], Any]]) -> list[Any]:
        """On SQLite: several transactions in one commit; what came of each, its result or its error, in their order."""
        assert self._writer is not None
        with self.told():
            return self._writer.run_all(works)

    @property
    def origin(self) -> Database:
        """The database itself, where this is one caller's share of it."""
        return self

    @property
    def dialect(self) -> Dialect:
        return self._reader.dialect

    @contextmanager
    def along(self, *, before: Part | None = None, after: Part | None = None) -> Iterator[None]:
        """Within it the first write of this thread that succeeds carries these out in its transaction: before its own
        work and after it, all of them or none."""
        given = (before, after)
        self._along.parts = (*self._along.parts, given)
        try:
            yield
        finally:
            self._along.parts = tuple(part for part in self._along.parts if part is not given)

    def _together(self, work: Callable[[Connection], T]) -> T:
        def all_parts(connection: Connection) -> T:
            for before, _ in parts:
                if before is not None:
                    before(connection)
            result = work(connection)
            for _, after in parts:
                if after is not None:
                    after(connection)
            return result

        parts = self._along.parts
        result = self._transaction(all_parts)
        self._along.parts = ()
        return result

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        with self.told():
            if self._writer is not None:
                return self._writer.run(work)
            with self._transactions.use() as connection, connection.begin():
                return work(connection)

    def synchronise_clock(self) -> None:
        """Take the database server's time anew, if it is another host's: of a few answers the one that came fastest, as
        one that was late, in whichever direction, is wrong by up to half its delay."""
        if not isinstance(self.clock, DatabaseClock):
            return
        samples = []
        with self._reader.connect() as connection:
            for _ in range(_CLOCK_SAMPLES):
                sent = time.monotonic_ns()
                now = float(connection.execute(_PG_NOW_MS).scalar_one())
                samples.append((time.monotonic_ns() - sent, now, sent))
                if samples[-1][0] < _PROMPT_NS:
                    break
        took, now, sent = min(samples)
        self.clock.synchronise(now, sent, sent + took)

    def foreign_commits(self) -> int | None:
        """On SQLite: a number that changes when another process has written to the file. None: can't be seen now."""
        return None if self._writer is None else self._writer.look(_data_version)

    def close(self) -> None:
        """Close all connections: one that another thread is just using as soon as that gives it back."""
        if self._writer is not None:
            self._writer.close()
            self._writer_engine.dispose()
        else:
            self._transactions.close()
            _dispose_for_good(self._engine)
        self._reading.close()
        _dispose_for_good(self._reader)

    def check_reachable(self) -> None:
        """Raises DatabaseUnavailable."""
        with self.read() as connection:
            connection.execute(text("SELECT 1"))
        self.synchronise_clock()

    @contextmanager
    def told(self) -> Iterator[None]:
        """Say what is wrong with the database in words, with its address (never the password) and what to look at."""
        try:
            yield
        except (InterfaceError, OperationalError, NotSupportedError) as error:
            raise self._unavailable(_reason(error)) from error
        except PoolTimeout as error:
            raise self._unavailable(f"all {self._pool_size} connections are in use") from error
        except DBAPIError as error:
            if type(error) is not SQLAlchemyDatabaseError:  # a wrong statement is a fault of ours, not of the database
                raise
            raise self._unavailable(_reason(error)) from error

    def _unavailable(self, reason: str) -> DatabaseUnavailable:
        return DatabaseUnavailable(
            f"The database {self.url.render_as_string()} can't be used: {reason}. "
            "Check that it runs and that DATABASE_URL is right."
        )

    # --- SQLite

    def _make_folder(self) -> None:
        path = self.url.database
        if path and path != ":memory:" and not path.startswith("file:"):
            try:
                Path(path).absolute().parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise DatabaseUnavailable(
                    f"The folder of the database {path} can't be made: {error.strerror}. "
                    "Choose another place with DATABASE_URL=sqlite:///path/to/file.db."
                ) from None

    def _sqlite_engine(self, synchronous: str, pool_size: int) -> Engine:
        engine = create_engine(
            self.url,
            connect_args={"check_same_thread": False, "timeout": _BUSY_S},
            pool_size=pool_size,
            max_overflow=50,
        )

        @event.listens_for(engine, "connect")
        def configure(connection: Any, _record: Any) -> None:
            # The driver must not begin transactions by itself: a deferred BEGIN that turns into a write fails at once
            # when another has written meanwhile, whatever the busy timeout says.
            connection.isolation_level = None
            _switch_to_wal(connection)
            for pragma in (*_SQLITE_PRAGMAS, f"synchronous={synchronous}"):
                connection.execute(f"PRAGMA {pragma}")

        return engine


def _carry_out_by_libpq(driver: Any, record: Any) -> None:
    from orchestrator.store.libpq import Session  # psycopg is only there where PostgreSQL is

    carry_out(record.info, Session(driver))


def _dispose_for_good(engine: Engine) -> None:
    event.listen(engine.pool, "checkin", lambda _, record: record.close())
    engine.dispose()


def _switch_to_wal(connection: Any) -> None:
    """SQLite waits for a lock, but not for this one: processes that open a new file together would fail at random."""
    until = monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or monotonic() > until:
                raise
            threading.Event().wait(0.005)


def parse_url(url: str) -> URL:
    """Raises SettingsError for an address that is no database URL, or of a database that is not supported."""
    try:
        parsed = make_url(url)
        if parsed.drivername in ("postgres", "postgresql"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise SettingsError(
                f"DATABASE_URL names {parsed.get_backend_name()!r}; supported are sqlite:///path/to/file.db and "
                "postgresql://user:password@host/name."
            )
        parsed.get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError):
        raise SettingsError(
            f"DATABASE_URL is {_without_password(url)!r}, which is no database address. Use sqlite:///path/to/file.db or "
            "postgresql://user:password@host/name."
        ) from None
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"DATABASE_URL needs the Python module {error.name!r}: pip install 'celery-orchestrator[postgres]'."
        ) from None
    return parsed


def _reason(error: DBAPIError) -> str:
    return (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0].rstrip(".")


def _without_password(url: str) -> str:
    """An address that can't be read as one may still hold a password between its first ':' and its last '@'."""
    return re.sub(r"(?<=:)[^:/@][^/]*(?=@)", "***", url)
