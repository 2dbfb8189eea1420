"""What every test may ask for: fresh databases and a fresh broker on real servers; the logic is in `tests.services`."""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

import pytest

from tests.services import PostgresServer, ValkeyServer

if TYPE_CHECKING:
    from orchestrator.store.database import Database
from tests.tracebacks import number_lines

# The developer's own settings must not decide what a test sees; at import, because modules may read them at import.
for _name in list(os.environ):
    if _name.startswith("ORCHESTRATOR_") or _name in {"DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"}:
        del os.environ[_name]

_TEMPLATE = "orchestrator_template"
_numbers = itertools.count(1)


def _migrate(url: str) -> None:
    # Imported here, so that a broken store does not take the tests with it that need none.
    from orchestrator.store.database import Database
    from orchestrator.store.migrate import upgrade

    with closing(Database(url)) as database:
        upgrade(database)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for the whole run, as a start takes a second; tests share nothing in it but its process."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def _postgres_template(postgres_server: PostgresServer) -> str:
    """The schema is built once: cloning a database is ten times faster than migrating one."""
    _migrate(postgres_server.create_database(_TEMPLATE))
    return _TEMPLATE


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database without our tables, for what happens before `orchestrator db upgrade`."""
    name = f"test_{next(_numbers)}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, _postgres_template: str) -> Iterator[str]:
    """A database of the test's own, so that no test sees another's rows."""
    name = f"test_{next(_numbers)}"
    yield postgres_server.create_database(name, _postgres_template)
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def _shared_postgres(postgres_server: PostgresServer, _postgres_template: str) -> Iterator[Database]:
    from orchestrator.store.database import Database

    with closing(Database(postgres_server.create_database(f"shared_{token_hex(4)}", _postgres_template))) as database:
        yield database


@pytest.fixture
def emptied_postgres_url(_shared_postgres: Database) -> str:
    """For hundreds of small tests: they share one database, emptied in between."""
    from orchestrator.store.schema import metadata

    # Before each test and not after it, so that what a failed one has left can still be looked at.
    _shared_postgres.transaction(
        lambda connection: [connection.execute(table.delete()) for table in metadata.sorted_tables]
    )
    return _shared_postgres.url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sqlite") / "template.db"
    _migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """A database file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'orchestrator.db'}"


@pytest.fixture
def sqlite_url(tmp_path: Path, _sqlite_template: Path) -> str:
    """A file of the test's own; copied by SQLite itself, so that what is still in the WAL comes along."""
    file = tmp_path / "orchestrator.db"
    with closing(sqlite3.connect(_sqlite_template)) as template, closing(sqlite3.connect(file)) as copy:
        template.backup(copy)
    return f"sqlite:///{file}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Both databases are first-class: a test that asks for this runs on each."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"empty_{request.param}_url")
    return url


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """One broker for the whole run. A test that stops or restarts one takes a `ValkeyServer` of its own instead."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def valkey_url(valkey_server: ValkeyServer) -> str:
    """Flushed before the test and not after it, so that a failed test's messages can still be looked at."""
    valkey_server.flush()
    return valkey_server.url


# A promise that was not tried is not kept: what a test would skip for, a missing service included, fails it.


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"Skipped, and nothing may be skipped here: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    if call.excinfo is not None:
        number_lines(call.excinfo.value)
        call.excinfo = pytest.ExceptionInfo.from_exception(call.excinfo.value)
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report
