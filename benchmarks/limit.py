"""The limit itself: how fast SQLAlchemy Core makes single rows durable on the same database; no engine is in it.

`python -m benchmarks.limit URL ROWS`: a process of its own, so that the threads of an embedded engine can't slow it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from sqlalchemy import BigInteger, Column, Engine, Identity, Integer, MetaData, Table, Text, create_engine, event

from benchmarks.programs import MS, Measured, WrongResult
from orchestrator.store.database import parse_url

_metadata = MetaData()
_rows = Table(  # as wide as a step's row, with the index that keeps a step from being written twice
    "benchmark_rows",
    _metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    Column("instance_id", BigInteger, nullable=False),
    Column("key", Text, nullable=False, unique=True),
    Column("result", Text),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
)
_INSERT = _rows.insert().inline()


def beside(url: str, count: int) -> Iterator[Measured]:
    """Measured now, while the engine of this turn has nothing to do: just then the disk is as the engine found it."""
    command = [sys.executable, "-m", "benchmarks.limit", url, str(count)]
    done = subprocess.run(command, env=os.environ, stdout=subprocess.PIPE, text=True, check=True)
    for line in done.stdout.splitlines():
        yield Measured(**json.loads(line))


def measure(url: str, count: int) -> Iterator[Measured]:
    """The fastest way there is (one connection held, each statement commits), and the usual one (begin … commit)."""
    engine = _engine(url)
    _metadata.drop_all(engine)
    _metadata.create_all(engine)
    for name, insert_all in (("limit autocommit", _autocommit), ("limit begin-commit", _begin_commit)):
        insert_all(engine, [_row("warm-up " + name, i) for i in range(50)])
        rows = [_row(name, i) for i in range(count)]
        started = time.perf_counter()
        insert_all(engine, rows)
        seconds = time.perf_counter() - started
        _check(engine, name, count)
        yield Measured(name, seconds / count * MS, "ms/row")
    engine.dispose()


def _autocommit(engine: Engine, rows: list[dict[str, Any]]) -> None:
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        for row in rows:
            connection.execute(_INSERT, row)


def _begin_commit(engine: Engine, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        with engine.begin() as connection:
            connection.execute(_INSERT, row)


def _row(name: str, i: int) -> dict[str, Any]:
    return {"instance_id": 1, "key": f"do:{name}:{i}", "result": '{"i":0}', "started_at": i, "ended_at": i}


def _check(engine: Engine, name: str, count: int) -> None:
    with engine.connect() as connection:
        found = len(connection.execute(_rows.select().where(_rows.c.key.like(f"do:{name}:%"))).all())
    if found != count:
        raise WrongResult(f"{name}: there are {found} rows, and there should be {count}.")


def _engine(url: str) -> Engine:
    """With the settings that our own store uses, as the promise must be the same."""
    parsed = parse_url(url)
    engine = create_engine(parsed)
    if parsed.get_backend_name() == "sqlite":

        @event.listens_for(engine, "connect")
        def configure(connection: Any, _record: Any) -> None:
            connection.isolation_level = None
            for pragma in ("journal_mode=WAL", "synchronous=FULL"):
                connection.execute(f"PRAGMA {pragma}")

        @event.listens_for(engine, "begin")
        def begin(connection: Any) -> None:
            if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
                connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


if __name__ == "__main__":
    for found in measure(sys.argv[1], int(sys.argv[2])):
        print(json.dumps(asdict(found)))
