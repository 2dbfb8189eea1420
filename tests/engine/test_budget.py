"""Nobody keeps a worker to himself: an instance whose budget is spent makes way for those who wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.engine.activation import advance
from orchestrator.engine.runtime import Runtime
from tests.engine.bench import Bench, Bodies


@pytest.mark.parametrize("busy", [True, False])
def test_who_has_used_up_its_budget_makes_way_for_who_waits(
    make_bench: Callable[..., Bench], bodies: Bodies, busy: bool
) -> None:
    bench = make_bench(budget_ms=0)

    class Long(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            for n in range(3):
                await step.do("one", bodies(f"{event.payload}{n}"))

    instances = [bench.create(Long, name) for name in ("ab" if busy else "a")]
    bench.work()
    assert {instance.status().status for instance in instances} == {"complete"}
    if busy:
        assert sorted(bodies.ran[:2]) == ["a0", "b0"], "nobody runs two steps before the other has had its turn"
        assert sorted(bodies.ran[2:4]) == ["a1", "b1"]
    else:
        assert bench.rows("SELECT fence FROM @instances") == [(1,)], "alone, it was never handed back"


def test_a_pause_that_comes_when_the_budget_is_spent_is_not_forgotten(
    make_bench: Callable[..., Bench], bodies: Bodies
) -> None:
    bench = make_bench(budget_ms=0)

    class Long(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.do("one", lambda: own.pause() and None)
            await step.do("two", bodies("two"))

    own = bench.create(Long)
    bench.create(Long)  # somebody else waits
    worker: Runtime = bench.runtime
    advance(worker, min(row.id for row in bench.rows("SELECT id FROM @instances")))
    bench.work()
    assert own.status().status == "paused"
    assert bodies.count("two") == 1
