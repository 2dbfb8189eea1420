"""How fast instances may be created: exactly as fast as the settings say, in bursts of a second, and off unless asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.errors import RateLimited
from tests.engine.bench import Bench


class One(WorkflowEntrypoint):
    async def run(self, event: Any, step: Any) -> None: ...


class Two(One):
    pass


def test_more_than_the_rate_are_refused_until_there_is_room(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(creation_rate_per_workflow=2)
    for _ in range(2):
        bench.create(One)
    with pytest.raises(RateLimited, match="rate of 2 a second") as refused:
        bench.create(One)
    assert refused.value.retry_after_s == 0.5
    bench.create(Two)
    bench.clock.advance(499)
    with pytest.raises(RateLimited):
        bench.create(One)
    bench.clock.advance(1)
    bench.create(One)
    assert bench.rows("SELECT count(*) FROM @instances") == [(4,)]


def test_the_rate_over_all_counts_every_workflow_batch_and_restart(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(creation_rate=5)
    instance = bench.create(One)
    bench.client.workflow(Two).create_batch(count=3)
    instance.restart()
    for refused in (
        instance.restart,
        lambda: bench.create(Two),
        lambda: bench.client.workflow(One).create_batch(count=1),
    ):
        with pytest.raises(RateLimited, match="all workflows together"):
            refused()
    assert bench.rows("SELECT count(*) FROM @instances") == [(4,)]


def test_a_batch_beyond_the_rate_is_let_in_alone_and_those_after_it_wait(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(creation_rate=10)
    bench.registry.add(One)
    one = bench.client.workflow(One)
    assert len(one.create_batch(count=100).created) == 100
    with pytest.raises(RateLimited) as refused:
        one.create()
    assert refused.value.retry_after_s == pytest.approx(9.1)
    bench.clock.advance("9.1 seconds")
    one.create()


def test_threads_together_create_no_more_than_the_rate(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(creation_rate=7)
    outcomes: list[str] = []

    def create() -> None:
        try:
            outcomes.append(bench.create(One).workflow)
        except RateLimited as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=create) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["instance.rate_limited"] * 23 + ["one"] * 7


def test_without_a_limit_nothing_is_counted(bench: Bench) -> None:
    bench.registry.add(One)
    for _ in range(3):
        bench.client.workflow(One).create_batch(count=100)
    assert bench.rows("SELECT 1 FROM @rates") == []
