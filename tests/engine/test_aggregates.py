"""What ran is counted once, by hour, whatever crashes, and stays counted when the instances are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from orchestrator import Settings, WorkflowEntrypoint
from orchestrator.engine import housekeeping, rollups
from orchestrator.engine.chores import do
from orchestrator.engine.host import register
from orchestrator.errors import InvalidAggregates, SettingsError
from orchestrator.inspection import AggregateRow
from orchestrator.inspection.aggregates import DAY_MS
from orchestrator.store import rollups as rows_of
from orchestrator.store.rollups import HOUR_MS
from orchestrator.store.schema import BUCKET_BOUNDS_MS, BUCKETS
from tests.engine.bench import Bench, Failing
from tests.engine.clock import START_MS

NEVER = {"retries": {"limit": 0, "delay": 0}}


class Order(WorkflowEntrypoint):
    async def run(self, event: Any, step: Any) -> None:
        await step.do("check", lambda: None)
        await step.do("charge", {"retries": {"limit": 2, "delay": "1 minute"}}, Failing(times=1))
        await step.sleep("nap", "2 hours")


class Bad(WorkflowEntrypoint):
    async def run(self, event: Any, step: Any) -> None:
        await step.do("break", NEVER, Failing())


def count(bench: Bench) -> None:
    while do(bench.runtime):
        pass


def test_runs_are_counted_by_the_hour_they_started_and_ended_in(bench: Bench) -> None:
    bench.run(Order)
    bench.run(Bad)
    bench.after("1 minute")
    bench.after("2 hours")
    count(bench)
    rows = bench.client.aggregates()
    first = START_MS - START_MS % HOUR_MS
    assert [(row.at, row.kind, row.started, row.finished) for row in rows] == [
        (first, "workflow", 2, {"errored": 1}),
        (first + 2 * HOUR_MS, "workflow", 0, {"complete": 1}),
    ]
    assert rows[1].wall_ms.count == 1
    assert rows[1].wall_ms.sum_ms == rows[1].wall_ms.max_ms == rows[1].wall_ms.p50_ms == 7_260_000
    assert rows[1].to_dict()["wall_ms"]["mean_ms"] == 7_260_000


def test_steps_are_counted_by_name_and_outcome_with_their_attempts(bench: Bench) -> None:
    bench.run(Order)
    bench.run(Bad)
    bench.after("1 minute")
    bench.after("2 hours")
    count(bench)
    rows = bench.client.aggregates(group_by=["step"])
    assert [(row.step, row.kind, row.finished, row.attempts) for row in rows] == [
        ("break", "do", {"errored": 1}, 1),
        ("charge", "do", {"complete": 1}, 2),
        ("check", "do", {"complete": 1}, 1),
        ("nap", "sleep", {"complete": 1}, 0),
    ]
    nap = bench.client.aggregates(group_by=(), step="nap")
    assert [(row.step, row.wall_ms.sum_ms) for row in nap] == [("nap", 7_200_000)]


def test_a_workflow_is_asked_for_its_own_numbers(bench: Bench) -> None:
    bench.run(Bad)
    bench.run(Order).terminate()
    count(bench)
    assert [(row.workflow, row.finished) for row in bench.client.aggregates(group_by=["workflow"])] == [
        ("bad", {"errored": 1}), ("order", {"terminated": 1}),
    ]  # fmt: skip
    (row,) = bench.client.workflow(Order).aggregates(group_by=["day"])
    assert (row.at, row.finished) == (START_MS - START_MS % (24 * HOUR_MS), {"terminated": 1})


def test_a_run_that_has_not_ended_has_started(bench: Bench) -> None:
    bench.run(Order)
    assert [(row.started, row.finished) for row in bench.client.aggregates()] == [(1, {})]
    bench.run(Bad)
    assert [row.started for row in bench.client.aggregates()] == [2], "ended, and not counted yet"
    count(bench)
    assert [row.started for row in bench.client.aggregates()] == [2]


def test_each_run_of_a_restarted_instance_is_counted_and_what_it_took_over_is_not(bench: Bench) -> None:
    order = bench.run(Order)
    bench.after("1 minute")
    order.restart()
    bench.work()
    bench.after("1 minute")
    bench.after("2 hours")
    order.restart(from_={"name": "nap", "type": "sleep"})
    bench.work()
    bench.after("2 hours")
    count(bench)
    (runs,) = bench.client.aggregates(group_by=())
    assert (runs.started, runs.finished) == (3, {"restarted": 1, "complete": 2})
    finished = {row.step: row.finished for row in bench.client.aggregates(group_by=["step"])}
    assert finished == {"check": {"complete": 2}, "charge": {"complete": 2}, "nap": {"complete": 2}}


def test_what_was_deleted_stays_counted_also_if_it_was_not_counted_yet(bench: Bench) -> None:
    gone, later = bench.run(Bad), bench.run(Bad, id="b-2")
    gone.delete()
    count(bench)
    later.delete()
    bench.client.workflow(Bad).delete_batch([bench.run(Bad).id])
    bench.work()
    count(bench)
    bench.work()
    (row,) = bench.client.aggregates(group_by=["step"])
    assert row.finished == {"errored": 3}
    assert bench.rows("SELECT 1 FROM @steps") == bench.rows("SELECT 1 FROM @ended") == []


def test_a_crash_in_the_middle_counts_nothing_and_the_next_one_counts_it_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.run(Bad)

    def crash(*_: Any) -> None:
        raise RuntimeError("the process is gone")

    with monkeypatch.context() as broken:
        broken.setattr(rows_of, "add", crash)
        with pytest.raises(RuntimeError):
            do(bench.runtime)
    assert len(bench.rows("SELECT 1 FROM @ended")) == 1
    count(bench)
    count(bench)
    assert [row.finished for row in bench.client.aggregates()] == [{"errored": 1}]


def test_two_that_count_at_the_same_time_count_each_run_once(
    make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench()
    for _ in range(30):
        bench.run(Bad)
    monkeypatch.setattr(rollups, "RUNS", 7)
    monkeypatch.setattr(rollups.outbox, "take_lease", lambda *_, **__: True)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: [rollups.count_some(bench.database, f"w{n}") for _ in range(30)], range(4)))
    count(bench)
    assert [row.finished for row in bench.client.aggregates()] == [{"errored": 30}]


def test_names_that_are_made_at_run_time_do_not_fill_the_table(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "MAX_NAMES", 3)

    class Many(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            for n in range(5):
                await step.do(f"{event.payload['of']} {n}", lambda: None)

    bench.run(Many, {"of": "a"})
    count(bench)
    bench.run(Many, {"of": "b"})
    count(bench)
    rows = bench.client.aggregates(group_by=["step"])
    assert {row.step: row.finished["complete"] for row in rows} == {"(others)": 7, "a 0": 1, "a 1": 1, "a 2": 1}


def numbers_from(bench: Bench, at: int) -> list[AggregateRow]:
    return bench.client.aggregates(since=at, until=at + HOUR_MS)


def test_numbers_are_kept_for_as_long_as_the_settings_say_and_then_go(
    make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "ROWS", 2)
    bench = make_bench(aggregates_retention="2 days", success_retention="1 hour", error_retention="1 hour")
    first = START_MS - START_MS % HOUR_MS
    bench.run(Bad)
    count(bench)
    bench.clock.advance("1 hour")
    bench.run(Bad)
    count(bench)

    bench.clock.advance(first + HOUR_MS + 2 * DAY_MS - 1 - bench.clock.now_ms())
    count(bench)
    assert len(numbers_from(bench, first)) == 1
    bench.clock.advance(1)
    count(bench)
    assert numbers_from(bench, first) == []
    assert [row.finished for row in numbers_from(bench, first + HOUR_MS)] == [{"errored": 1}]


def test_numbers_may_be_kept_for_ever(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(aggregates_retention="forever")
    bench.run(Bad)
    count(bench)
    bench.clock.advance("10 years")
    count(bench)
    assert len(numbers_from(bench, START_MS)) == 1
    with pytest.raises(SettingsError, match="aggregates_retention"):
        Settings(aggregates_retention="0 days")


def test_a_range_is_of_whole_hours(bench: Bench) -> None:
    bench.run(Bad)
    count(bench)
    ask = bench.client.aggregates
    assert len(ask(since=START_MS, until=START_MS + 1)) == 1
    assert ask(since=START_MS + HOUR_MS, until=START_MS + 2 * HOUR_MS) == []
    assert ask(until=START_MS - START_MS % HOUR_MS) == []


@pytest.mark.parametrize(
    "query",
    [{"group_by": ["minute"]}, {"group_by": ["hour", "day"]}, {"group_by": ["step", "step"]}, {"since": 5, "until": 5}],
)
def test_what_can_not_be_asked_is_said(bench: Bench, query: dict[str, Any]) -> None:
    with pytest.raises(InvalidAggregates):
        bench.client.aggregates(**query)


def bucket_of(bound_ms: int) -> str:
    return BUCKETS[BUCKET_BOUNDS_MS.index(bound_ms)]


def test_percentiles_are_upper_bounds_from_the_histogram(bench: Bench) -> None:
    register(bench.runtime)
    blank = {"hour": START_MS - START_MS % HOUR_MS, "workflow": "x", "kind": "workflow", "step": "", "attempts": 0}
    buckets = dict.fromkeys(BUCKETS, 0) | {bucket_of(100): 90, bucket_of(5000): 10}
    row = {**blank, **buckets, "outcome": "complete", "count": 100, "sum_ms": 1, "min_ms": 60, "max_ms": 4200}
    bench.database.transaction(lambda connection: rows_of.add(connection, [row]))
    (shown,) = bench.client.aggregates()
    assert isinstance(shown, AggregateRow)
    assert (shown.wall_ms.p50_ms, shown.wall_ms.p95_ms, shown.wall_ms.p99_ms) == (100, 4200, 4200)


@pytest.mark.parametrize("ms", [0, 1, 2, 3, 80, 4000, BUCKET_BOUNDS_MS[-1], BUCKET_BOUNDS_MS[-1] + 1])
def test_every_duration_has_a_bucket(bench: Bench, ms: int) -> None:
    class Long(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.sleep("nap", ms)

    bench.run(Long)
    bench.after(ms)
    count(bench)
    bucket = next((n for n, bound in enumerate(BUCKET_BOUNDS_MS) if ms <= bound), len(BUCKETS) - 1)
    counted = bench.rows(f"SELECT {BUCKETS[bucket]} FROM @rollups WHERE outcome = 'complete' ORDER BY kind")
    assert [tuple(row) for row in counted] == [(1,), (1,)], "the sleep and its run"


def test_numbers_of_several_runs_are_added_up(bench: Bench) -> None:
    class Nap(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            for _ in range(2):
                await step.sleep("nap 1", event.payload["ms"])

    for ms in (30, 10, 9000):
        bench.run(Nap, {"ms": ms})
        bench.after(ms)
        bench.after(ms)
    count(bench)
    bench.run(Nap, {"ms": 5})
    bench.after(5)
    bench.after(5)
    count(bench)
    (row,) = bench.client.aggregates(group_by=["step"])
    assert (row.step, row.finished, row.wall_ms.sum_ms, row.wall_ms.min_ms, row.wall_ms.max_ms) == (
        *("nap 1", {"complete": 8}, 2 * (30 + 10 + 9000 + 5), 5, 9000),
    )
    assert (row.wall_ms.p50_ms, row.wall_ms.p99_ms) == (10, 9000)


def test_what_many_names_have_in_common_is_added_up_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "MAX_NAMES", 0)

    class Several(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            for name, ms in (("a", 9000), ("b", 5), ("c", 30), ("d", 30)):
                await step.do(name, bench.clock.advance, ms)

    bench.run(Several)
    count(bench)
    (row,) = bench.client.aggregates(group_by=["step"])
    assert (row.attempts, row.wall_ms.count, row.wall_ms.min_ms, row.wall_ms.max_ms) == (4, 4, 5, 9000)
    assert [tuple(row) for row in bench.rows(f"SELECT {bucket_of(50)} FROM @rollups WHERE kind = 'do'")] == [(2,)]


def test_a_run_that_has_never_started_has_ended(bench: Bench) -> None:
    bench.client.workflow(Bad).create().terminate()
    count(bench)
    (row,) = bench.client.aggregates()
    assert (row.started, row.finished, row.wall_ms.max_ms) == (0, {"terminated": 1}, 0)
    assert [tuple(row) for row in bench.rows(f"SELECT {bucket_of(1)} FROM @rollups")] == [(1,)], "no time at all"


def test_timers_of_asyncio_are_not_counted(bench: Bench) -> None:
    class Slow(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await asyncio.sleep(60)
            await step.do("timer:done", lambda: None)

    bench.run(Slow)
    bench.after("1 minute")
    count(bench)
    assert [row.step for row in bench.client.aggregates(group_by=["step"])] == ["timer:done"]
