"""One world for all bad input on each database: what is refused leaves no trace, and so no test can meet another's."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.remote import RemoteClient
from tests.bad_input.world import World
from tests.services import PostgresServer
from web import start

_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def world_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """As `database_url`, for a whole module."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        return server.create_database(
            f"bad_input_{next(_numbers)}_{request.module.__name__.rpartition('.')[2]}",
            request.getfixturevalue("_postgres_template"),
        )
    template: Path = request.getfixturevalue("_sqlite_template")
    file = tmp_path_factory.mktemp("bad_input") / "orchestrator.db"
    with closing(sqlite3.connect(template)) as source, closing(sqlite3.connect(file)) as copy:
        source.backup(copy)
    return f"sqlite:///{file}"


@pytest.fixture(scope="module")
def world(world_url: str) -> Iterator[World]:
    made = World(world_url)
    yield made
    made.close()


@pytest.fixture(scope="module")
def url(world: World) -> Iterator[str]:
    with start(world.app, "127.0.0.1", 0) as server:
        yield server.url


@pytest.fixture(scope="module")
def remote(url: str) -> Iterator[RemoteClient]:
    with RemoteClient(url) as client:
        yield client


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands look for `.orchestrator/`, `.env` and app.py in the current directory."""
    monkeypatch.chdir(tmp_path)
