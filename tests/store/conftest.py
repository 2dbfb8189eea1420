"""A database of each kind, and rows to work on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Row, text

from orchestrator.store import instances
from orchestrator.store.database import Database
from tests.engine.clock import START_MS, FakeClock


@dataclass
class Store:
    """The store's functions, each call in a transaction of its own."""

    database: Database
    now: int = START_MS
    _numbers: list[int] = field(default_factory=list)

    def __call__(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        return self.database.transaction(lambda connection: function(connection, *args, **named))

    def instance(self, id: str | None = None, *, queue: str = "default", ring_at: int | None = None) -> int:
        self._numbers.append(1)
        pk = self(
            instances.insert,
            workflow="orders",
            instance_id=id or f"order-{len(self._numbers)}",
            queue=queue,
            params="{}",
            trigger="api",
            ring_at=ring_at,
            now=self.now,
        )
        return int(pk)

    def claimed(self, worker: str = "w1") -> tuple[int, int]:
        """A new instance that a worker holds: its key and fence."""
        pk = self.instance()
        return pk, int(self(instances.claim, id=pk, worker=worker, now=self.now).fence)

    def rows(self, query: str, **values: Any) -> list[Row[Any]]:
        with self.database.read() as connection:
            return list(connection.execute(text(query.replace("@", "orchestrator_")), values))

    def row(self, pk: int) -> Row[Any]:
        (row,) = self.rows("SELECT * FROM @instances WHERE id = :id", id=pk)
        return row


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with closing(Database(database_url, clock=FakeClock())) as database:
        yield Store(database)


@pytest.fixture
def at_once() -> Callable[..., list[Any]]:
    """Call a function from several threads at the same moment; what each call returned."""

    def run(count: int, call: Callable[[int], Any]) -> list[Any]:
        barrier = threading.Barrier(count)
        results: list[Any] = [None] * count

        def one(number: int) -> None:
            barrier.wait()
            results[number] = call(number)

        threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    return run


def until_someone_waits_for_a_lock(store: Store) -> None:
    """On PostgreSQL; on SQLite writers wait before they begin, so that nothing can come in between."""
    while not store.database.is_sqlite:
        if store.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"):
            return
        threading.Event().wait(0.005)
