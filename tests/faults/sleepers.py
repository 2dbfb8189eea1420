"""`python -m tests.faults.sleepers --count 1000000`: what a claim and a pump's round cost beside so many who sleep."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import click
from sqlalchemy import Connection, text

from orchestrator import WorkflowEntrypoint
from orchestrator.authoring.registry import Registry
from orchestrator.engine import pump
from orchestrator.engine.local import LocalDoorbell
from orchestrator.engine.runtime import Runtime
from orchestrator.settings import Settings
from orchestrator.store import instances, migrate
from orchestrator.store.database import Database
from tests.services import PostgresServer

MONTH_MS = 30 * 24 * 3_600_000


class Idle(WorkflowEntrypoint[Any]):
    async def run(self, event: Any, step: Any) -> None:
        return None


@dataclass(frozen=True)
class Times:
    """In milliseconds: the median, and what one in a hundred takes at least."""

    claim: float
    claim_p99: float
    tick: float

    def __str__(self) -> str:
        return f"claim {self.claim:.2f} ms (p99 {self.claim_p99:.2f}), pump's round {self.tick:.2f} ms"


def fall_asleep(database: Database, count: int) -> None:
    """So many instances, each with one sleep that ends within the next month."""
    numbers = "generate_series(1, {n}) AS s(n)" if not database.is_sqlite else _SERIES
    now = database.clock.now_ms()

    def work(connection: Connection) -> None:
        for statement in (_INSTANCES, _TIMERS):
            connection.execute(text(statement.format(numbers=numbers.format(n=count))), {"now": now, "span": MONTH_MS})

    database.transaction(work)
    if not database.is_sqlite:
        database.statement(lambda connection: connection.execute(text("ANALYZE")))


def measure(database: Database, rounds: int = 300) -> Times:
    runtime = Runtime(database, Registry([Idle]), Settings(), LocalDoorbell(database.clock))
    claims, ticks = [], []
    for number in range(rounds):
        pk = _insert(database, f"new-{time.monotonic_ns()}-{number}")
        claims.append(_took_ms(lambda: _claim(database, pk)))  # noqa: B023 - called at once
        ticks.append(_took_ms(lambda: pump.tick(runtime)))
    return Times(median(claims), sorted(claims)[int(rounds * 0.99)], median(ticks))


def _insert(database: Database, id: str) -> int:
    row = {"workflow": "idle", "instance_id": id, "queue": "default", "params": "{}", "trigger": "api"}
    now = database.clock.now_ms()
    found = database.transaction(lambda c: instances.insert(c, **row, ring_at=now + 60_000, now=now))
    assert found is not None
    return int(found)


def _claim(database: Database, pk: int) -> None:
    now = database.clock.now_ms()
    assert database.statement(lambda c: instances.claim(c, id=pk, worker="w:1:x", now=now)) is not None


def _took_ms(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


_SERIES = "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {n}) SELECT n FROM s)"
_INSTANCES = """
    INSERT INTO orchestrator_instances
        (workflow, instance_id, status, queue, params, trigger, created_at, started_at, modified_at)
    SELECT 'sleepers', 'sleeper-' || n, 'waiting', 'default', '{{}}', 'api', :now, :now, :now FROM {numbers}
"""
_TIMERS = """
    INSERT INTO orchestrator_timers (instance_id, key, kind, position, queue, started_at, due_at, ring_at)
    SELECT id, 'sleep:rest:1', 'sleep', 1, 'default', :now, :now + 60000 + id * 7919 % :span,
        :now + 50000 + id * 7919 % :span
    FROM orchestrator_instances WHERE workflow = 'sleepers'
"""


@click.command()
@click.option("--count", default=1_000_000, show_default=True)
@click.option("--database", type=click.Choice(["postgres", "sqlite"]), default="postgres", show_default=True)
def main(count: int, database: str) -> None:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        url = f"sqlite:///{Path(folder) / 'sleepers.db'}"
        if database == "postgres":
            url = stack.enter_context(PostgresServer()).create_database("sleepers")
        opened = stack.enter_context(closing(Database(url)))
        migrate.upgrade(opened)
        opened.check_reachable()
        click.echo(f"{database}, nobody asleep: {measure(opened)}")
        fall_asleep(opened, count)
        click.echo(f"{database}, {count:,} asleep: {measure(opened)}")


if __name__ == "__main__":
    main()
