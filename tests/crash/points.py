"""Where a process can die or be cut off from its database, seen from outside the engine: it wraps what the engine is given.

A point is named by what was being done: `instances.claim:after` is the moment after the commit of a transaction that
called `orchestrator.store.instances.claim`. Nothing in the engine knows of points.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

import pytest
from sqlalchemy import Connection

from orchestrator.doorbell import Doorbell, Ring
from orchestrator.engine.orders import Order, Report, Runner
from orchestrator.errors import DatabaseUnavailable
from orchestrator.store import attempts, events, hot, instances, runs, slots, steps, streams, timers
from orchestrator.store.database import Database

T = TypeVar("T")

DEATHS = ("before", "after")
REFUSED, UNANSWERED = "refused", "unanswered"
"""The database is lost before a commit, and after it but before the answer. The process lives on."""

_store_calls = threading.local()


class SimulatedCrash(BaseException):
    """The process died here: nothing that follows in this call stack may have any effect."""


class Dead(Exception):
    """As above, on a thread that the tests do not see: whatever it goes on to do ends with this again."""


def name_transactions(patch: pytest.MonkeyPatch) -> None:
    """Let every function of the store leave its name with the transaction that calls it."""
    for module in (attempts, events, hot, instances, runs, slots, steps, streams, timers):
        for name, function in vars(module).items():
            if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_"):
                patch.setattr(module, name, _named(f"{module.__name__.rpartition('.')[2]}.{name}", function))


def _named(name: str, function: Callable[..., T]) -> Callable[..., T]:
    def named(*args: Any, **kwargs: Any) -> T:
        transaction: _Transaction | None = getattr(_store_calls, "transaction", None)
        if transaction is None:
            return function(*args, **kwargs)
        transaction.enter(name)
        try:
            return function(*args, **kwargs)
        finally:
            transaction.depth -= 1

    return named


@dataclass
class Plan:
    """What goes wrong: (point, which hit of it), one after another, each counted from the one before.

    Whatever is hit after the last is taken down.
    """

    faults: list[tuple[str, int]] = field(default_factory=list)
    hits: Counter[str] = field(default_factory=Counter)
    reached: int = 0

    def __str__(self) -> str:
        return ", then ".join(f"{point} (hit {nth})" for point, nth in self.faults)

    def hit(self, point: str) -> bool:
        self.hits[point] += 1
        if self.reached == len(self.faults) or self.faults[self.reached] != (point, self.hits[point]):
            return False
        self.reached += 1
        self.hits.clear()
        return True

    def and_then_each(self) -> Iterator[Plan]:
        """This plan with one more fault at the end, for each point that was hit after it was over."""
        for point, count in self.hits.items():
            for nth in range(1, count + 1):
                yield Plan([*self.faults, (point, nth)])


class Life:
    """Of one process: whether it has died, and what must be told when it does."""

    def __init__(self, plan: Plan, on_death: Callable[[], None] = lambda: None) -> None:
        self.plan = plan
        self.dead = False
        self.has_committed = False
        self.on_death = on_death
        self._thread = threading.current_thread()

    def check(self, point: str) -> None:
        """Die if the plan says so."""
        if self.dead or self.plan.hit(point):
            self.die()

    def go_on(self) -> None:
        if self.dead:
            self.die()

    def die(self) -> NoReturn:
        first, self.dead = not self.dead, True
        if first:
            self.on_death()
        raise SimulatedCrash if threading.current_thread() is self._thread else Dead

    def cut_off(self, point: str, how: str) -> None:
        if self.plan.hit(f"{point}:{how}"):
            raise DatabaseUnavailable(f"The connection was lost ({how}).")


class _Transaction:
    """The store functions that one transaction calls. A single statement commits by itself, so it may die only before."""

    def __init__(self, life: Life, single: bool) -> None:
        self.life = life
        self.single = single
        self.names: list[str] = []
        self.depth = 0

    @property
    def name(self) -> str:
        return "+".join(dict.fromkeys(self.names))

    def enter(self, name: str) -> None:
        if self.depth == 0:
            self.names.append(name)
            if self.single:
                self.about_to_commit()
        self.depth += 1

    def about_to_commit(self) -> None:
        self.life.check(f"{self.name}:before")
        self.life.cut_off(self.name, REFUSED)


class TappedDatabase:
    """A Database of a process that can die."""

    def __init__(self, database: Database, life: Life) -> None:
        self._database = database
        self._life = life

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        self._life.go_on()
        self._life.cut_off("read", REFUSED)
        with self._database.read() as connection:
            yield connection
        self._life.go_on()

    def transaction(self, work: Callable[[Connection], T]) -> T:
        return self._run(self._database.transaction, work, single=False)

    def statement(self, work: Callable[[Connection], T]) -> T:
        return self._run(self._database.statement, work, single=True)

    def _run(self, run: Callable[[Callable[[Connection], T]], T], work: Callable[[Connection], T], single: bool) -> T:
        self._life.go_on()
        transaction = _Transaction(self._life, single)

        def tapped(connection: Connection) -> T:
            _store_calls.transaction = transaction
            try:
                result = work(connection)
            finally:
                _store_calls.transaction = None
            if not single and transaction.names:
                transaction.about_to_commit()
            return result

        try:
            result = run(tapped)
        except (SimulatedCrash, Dead):
            self._life.die()  # on SQLite another thread may have run the transaction
        self._life.has_committed = True
        if transaction.names:
            self._life.check(f"{transaction.name}:after")
            self._life.cut_off(transaction.name, UNANSWERED)
        return result


class TappedDoorbell:
    def __init__(self, doorbell: Doorbell, life: Life) -> None:
        self._doorbell = doorbell
        self._life = life
        self.grace_ms = doorbell.grace_ms
        self.failures = 0

    def ring(self, rings: Sequence[Ring]) -> None:
        point = "ring " + "+".join(dict.fromkeys(ring.task for ring in rings))
        self._life.check(f"{point}:before")
        self._doorbell.ring(rings)
        self._life.check(f"{point}:after")


class TappedRunner:
    """A Runner whose process may die around a body."""

    def __init__(self, runner: Runner, life: Life) -> None:
        self._runner = runner
        self._life = life

    def run_sync(self, order: Order) -> Report:
        self._life.check("body:before")
        report = self._runner.run_sync(order)
        self._life.check("body:after")
        return report

    async def run_async(self, order: Order) -> Report:
        try:
            self._life.check("async body:before")
            report = await self._runner.run_async(order)
            self._life.check("async body:after")
        except Dead:
            raise asyncio.CancelledError from None  # a dead process reports nothing
        return report
