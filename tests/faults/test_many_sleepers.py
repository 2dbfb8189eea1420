"""Ten thousand sleeps that end in the same second: each ends once, whoever looks after it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from orchestrator import WorkflowEntrypoint, WorkflowEvent, WorkflowStep
from orchestrator.engine.runtime import Runtime
from tests.engine.bench import Bench
from tests.faults import sleepers

INSTANCES, EACH = 100, 100


class Sleepers(WorkflowEntrypoint[Any]):
    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> int:
        at = datetime.fromtimestamp(event.payload["at_ms"] / 1000, UTC)
        await asyncio.gather(*(step.sleep_until(f"sleep {number}", at) for number in range(EACH)))
        return EACH


def in_turns(bench: Bench, runtimes: list[Runtime]) -> None:
    """All at once, each on a thread of its own, as so many processes would."""
    threads = [threading.Thread(target=bench.work, args=(runtime,)) for runtime in runtimes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_ten_thousand_sleeps_due_in_one_second_all_end_and_none_twice(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    at_ms = bench.clock.now_ms() + 3_600_000
    bench.registry.add(Sleepers)
    instances = [bench.create(Sleepers, {"at_ms": at_ms + number % 1000}) for number in range(INSTANCES)]
    runtimes = [bench.worker(registry=bench.registry) for _ in range(3)]
    in_turns(bench, runtimes)
    assert bench.rows("SELECT count(*) FROM @timers")[0][0] == INSTANCES * EACH

    bench.clock.advance("59 minutes")
    in_turns(bench, runtimes)
    assert bench.rows("SELECT count(*) FROM @steps")[0][0] == 0, "none ends before its time"
    for _ in range(12):
        bench.clock.advance("10 seconds")
        in_turns(bench, runtimes)

    assert {instance.status().status for instance in instances} == {"complete"}
    assert bench.rows("SELECT count(*) FROM @steps")[0][0] == INSTANCES * EACH
    assert bench.rows("SELECT count(*) FROM @timers")[0][0] == 0


def test_those_who_sleep_are_in_nobodys_way(make_bench: Callable[..., Bench]) -> None:
    """`python -m tests.faults.sleepers` measures it with a million."""
    database = make_bench().database
    alone = sleepers.measure(database, rounds=100)
    sleepers.fall_asleep(database, 20_000)

    beside = sleepers.measure(database, rounds=100)

    assert beside.claim < 5 + 2 * alone.claim, (alone, beside)
    assert beside.tick < 5 + 3 * alone.tick, (alone, beside)
