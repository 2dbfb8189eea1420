"""What a worker costs that has nothing to do, alone and with a crowd of instances asleep; nothing is sped up for it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil
import psycopg

from benchmarks.engine import Place
from benchmarks.ours import OursEmbedded, OursWorkers
from benchmarks.programs import Measured, WrongResult, warm_up
from benchmarks.scale import Scale
from benchmarks.sleepers import count_sleepers, put_to_sleep
from orchestrator.store.database import Database
from tests.services import PostgresServer

SETTLE_S = 6.0
"""Longer than anything that is left to do after the warm-up."""
_MIB = 2**20


def on_postgres(place: Place, scale: Scale) -> Iterator[Measured]:
    """A worker process; on a server of its own, as one that counts statements is a little slower than others."""
    with PostgresServer(durable=True, settings={"shared_preload_libraries": "pg_stat_statements"}) as server:
        own = Place(place.directory, server.create_database("idle"), place.valkey_url)
        with psycopg.connect(own.postgres_url, autocommit=True) as connection, OursWorkers(own) as engine:
            connection.execute("CREATE EXTENSION pg_stat_statements")
            warm_up(engine)
            process = psutil.Process(engine.worker.pid)
            yield from _watch(process, scale.idle_s, "idle", connection)
            _crowd(own.postgres_url, scale.sleeping)
            yield from _watch(process, scale.idle_s, f"idle {scale.sleeping}", connection)
            _check(own.postgres_url, scale.sleeping)


def on_sqlite(place: Place, scale: Scale) -> Iterator[Measured]:
    """This process with the service embedded; its memory is not shown, as the measuring is part of it."""
    with OursEmbedded(place) as engine:
        warm_up(engine)
        process = psutil.Process()
        for measured in _watch(process, scale.idle_s, "idle", None):
            if not measured.name.endswith("memory"):
                yield measured
        _crowd(engine.url, scale.sleeping)
        for measured in _watch(process, scale.idle_s, f"idle {scale.sleeping}", None):
            if not measured.name.endswith("memory"):
                yield measured
        _check(engine.url, scale.sleeping)


def _watch(
    process: psutil.Process, seconds: float, name: str, connection: psycopg.Connection[tuple[int]] | None
) -> Iterator[Measured]:
    time.sleep(SETTLE_S)
    if connection is not None:
        connection.execute("SELECT pg_stat_statements_reset()")
    before, started = _cpu_s(process), time.perf_counter()
    time.sleep(seconds)
    passed = time.perf_counter() - started
    yield Measured(f"{name} cpu", (_cpu_s(process) - before) / passed * 100, "%")
    yield Measured(f"{name} memory", process.memory_info().rss / _MIB, "MiB")
    if connection is not None:
        found = connection.execute(
            "SELECT coalesce(sum(calls), 0)::int FROM pg_stat_statements "
            "WHERE query NOT LIKE '%pg_stat_statements%' "
            "AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ).fetchone()
        assert found is not None
        yield Measured(f"{name} queries", found[0] / passed, "queries/s")


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _crowd(url: str, count: int) -> None:
    database = Database(url)
    put_to_sleep(database, count)
    database.close()


def _check(url: str, count: int) -> None:
    database = Database(url)
    found = count_sleepers(database)
    database.close()
    if found != count:
        raise WrongResult(f"Of {count} sleeping instances {found} are asleep.")
