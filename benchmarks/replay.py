"""What it costs to wake an instance on its history: in the driver alone, and as its owner sees it on a cold worker."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

from benchmarks.engine import PATIENCE_S, Place
from benchmarks.ours import Ours, OursEmbedded, OursWorkers
from benchmarks.ours_app import Long
from benchmarks.programs import MS, Measured, WrongResult, warm_up
from benchmarks.scale import Scale
from orchestrator import Instance
from orchestrator.authoring.workflow import Definition
from orchestrator.engine.book import entry_of
from orchestrator.engine.earlier_runs import ancestry
from orchestrator.engine.functions import new_run
from orchestrator.statuses import InstanceStatus
from orchestrator.store import instances, steps
from orchestrator.store.database import Database

SAMPLES = 5


def measure(place: Place, scale: Scale) -> Iterator[Measured]:
    engines: dict[str, Callable[[], Ours]] = {
        "sqlite": lambda: OursEmbedded(place),
        "postgres": lambda: OursWorkers(place),
    }
    for database, make in engines.items():
        with make() as engine:
            long = {n: asleep_after(engine, n) for n in scale.replays}
            url = engine.url
        for n, instance in long.items():
            us = statistics.median(replay_us(url, instance.id, n) for _ in range(SAMPLES))
            yield Measured(f"replay {n} {database}", us, "us/step")
        # Another process than the one that ran it, so nothing of it is in memory; but warm in all else.
        with make() as engine:
            warm_up(engine)
            for n, instance in long.items():
                again = engine.client.workflow("long").get(instance.id)
                started = time.perf_counter()
                again.send_event("it")
                if again.result(timeout=PATIENCE_S) != n * (n - 1) // 2:
                    raise WrongResult(f"The instance with {n} steps came to another sum after it was woken.")
                yield Measured(f"wake {n} {database}", (time.perf_counter() - started) * MS, "ms")


def asleep_after(engine: Ours, n: int) -> Instance:
    """An instance that has finished `n` steps and waits."""
    instance = engine.start("long", {"n": n})
    give_up_at = time.monotonic() + PATIENCE_S
    while instance.status().status != InstanceStatus.WAITING:
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"The instance with {n} steps does not come to its wait.")
        time.sleep(0.05)
    return instance


def replay_us(url: str, instance_id: str, n: int) -> float:
    """Reading the journal from the database included; a step."""
    database = Database(url)
    definition = Definition.of(Long)
    with database.read() as connection:
        found = instances.find(connection, definition.name, instance_id)
        assert found is not None
        started = time.perf_counter()
        row = instances.of_run(connection, found.id)
        assert row is not None
        journal = steps.journal(connection, row.id, row.run)
    run = new_run(database, definition, row, ancestry(database, row.id, row.run, row.started_at))
    run.start()
    run.replay(entry_of(one) for one in journal)
    seconds = time.perf_counter() - started
    waits_for = list(run.outstanding)
    run.close()
    database.close()
    if len(journal) != n or len(waits_for) != 1:
        raise WrongResult(f"{len(journal)} entries were replayed, and then the run asks for {waits_for}.")
    return seconds / n * 1e6
