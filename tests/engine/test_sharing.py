"""Parallel `def` steps and steps of other fleets are put up for whoever comes, and each is run by one of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.authoring.registry import Registry
from orchestrator.engine import sharing, step_runs
from orchestrator.engine.activation import advance
from orchestrator.engine.step_runs import run_steps
from tests.engine.bench import Bench, Bodies, Failing


def key_of(bench: Bench) -> int:
    (row,) = bench.rows("SELECT id FROM @instances")
    return int(row.id)


def change(bench: Bench, statement: str) -> None:
    bench.database.transaction(lambda c: c.exec_driver_sql(statement.replace("@", "orchestrator_")))


def fan(width: int, bodies: Bodies, **options: Any) -> type[WorkflowEntrypoint[Any]]:
    class Fan(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[Any]:
            before = await step.do("before", bodies("before"))
            made = [step.do(f"part {n}", bodies(f"part {n}"), **options) for n in range(width)]
            return [before, *await asyncio.gather(*made), await step.do("after", bodies("after"))]

    return Fan


def results(width: int) -> list[str]:
    return ["before", *(f"part {n}" for n in range(width)), "after"]


@pytest.mark.parametrize("width", [2, 100])
def test_parallel_steps_all_run_once_and_answer_in_the_order_asked(bench: Bench, bodies: Bodies, width: int) -> None:
    instance = bench.run(fan(width, bodies))
    assert instance.result(timeout=0) == results(width)
    assert sorted(bodies.ran) == sorted(results(width))
    assert bench.rows("SELECT * FROM @attempts") == []


def test_another_process_replays_up_to_the_steps_it_takes_and_runs_only_those(bench: Bench, bodies: Bodies) -> None:
    instance = bench.create(fan(5, bodies))
    pk = key_of(bench)
    coordinator = bench.worker(registry=bench.registry, queues=("coordinators",))
    advance(coordinator, pk)
    assert bodies.ran == ["before"]
    assert [step.status for step in instance.describe().steps] == ["complete"] + ["queued"] * 5
    helper = bench.worker(registry=Registry([bench.registry["fan"].cls]))
    run_steps(helper, pk)
    assert instance.result(timeout=0) == results(5)
    assert bodies.ran == results(5)


@pytest.mark.parametrize(("width", "messages"), [(2, 1), (5, 4), (40, 7)])
def test_as_many_are_rung_as_can_be_of_use_with_workers_that_have_just_come(
    make_bench: Callable[..., Bench], bodies: Bodies, width: int, messages: int
) -> None:
    bench = make_bench(concurrency=4)
    bench.beat(bench.runtime)
    bench.runtime.count_slots()
    assert bench.runtime.slots == 4
    bench.beat(bench.worker(registry=bench.registry))
    instance = bench.create(fan(width, bodies))
    before = len(bench.doorbell.pending())
    advance(bench.runtime, key_of(bench))
    assert len(bench.doorbell.pending()) - before == messages
    bench.work()
    assert instance.result(timeout=0) == results(width)


def test_many_processes_at_once_take_each_step_once(bench: Bench, bodies: Bodies) -> None:
    instance = bench.create(fan(40, bodies))
    pk = key_of(bench)
    advance(bench.worker(registry=bench.registry, queues=("coordinators",)), pk)
    helpers = [bench.worker(registry=bench.registry) for _ in range(4)]
    threads = [threading.Thread(target=run_steps, args=(helper, pk)) for helper in helpers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.after("10 seconds")
    assert instance.result(timeout=0) == results(40)
    assert sorted(bodies.ran) == sorted(results(40))


def test_threads_that_come_at_once_look_for_the_bodies_once(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    replays, together = 0, threading.Barrier(4, timeout=10)

    def driven(*args: Any) -> Any:
        nonlocal replays
        replays += 1
        return real(*args)

    def claimed(*args: Any) -> Any:
        taken = take(*args)
        if not taken.reports:
            together.wait()  # all have a step, and none knows its body
        return taken

    instance = bench.create(fan(40, bodies))
    pk = key_of(bench)
    advance(bench.worker(registry=bench.registry, queues=("coordinators",)), pk)
    helper = bench.worker(registry=bench.registry)
    real, take = step_runs._driven, helper.turns.take
    monkeypatch.setattr(step_runs, "_driven", driven)
    monkeypatch.setattr(helper.turns, "take", claimed)
    threads = [threading.Thread(target=run_steps, args=(helper, pk)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.after("10 seconds")
    assert instance.result(timeout=0) == results(40)
    assert sorted(bodies.ran) == sorted(results(40))
    assert replays == 1


def test_a_step_that_was_taken_before_a_restart_is_not_run_in_the_name_of_the_next_run(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fan(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[Any]:
            return list(await asyncio.gather(*(step.do(name, bodies(name)) for name in "ab")))

    instance = bench.create(Fan)
    pk = key_of(bench)
    advance(bench.worker(registry=bench.registry, queues=("coordinators",)), pk)
    helper = bench.worker(registry=bench.registry)
    take = helper.turns.take

    def taken_before(*args: Any) -> Any:
        taken = take(*args)
        instance.restart()
        return taken

    monkeypatch.setattr(helper.turns, "take", taken_before)
    run_steps(helper, pk)
    assert bodies.ran == []
    monkeypatch.undo()
    bench.after("10 seconds")
    assert instance.result(timeout=0) == ["a", "b"]
    assert bodies.ran == ["a", "b"]


def test_a_holder_that_is_overtaken_in_a_body_stores_its_result_and_goes_no_further(bench: Bench) -> None:
    ran: list[int] = []

    def body(number: int) -> int:
        ran.append(number)
        if number == 0:
            change(bench, "UPDATE @instances SET fence = fence + 1, holder = 'another'")
        return number

    class Fan(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            first, *others = [asyncio.ensure_future(step.do(f"part {n}", body, n)) for n in range(3)]
            await first
            await step.do("next", body, 9)
            return await asyncio.gather(*others)

    bench.create(Fan)
    advance(bench.runtime, key_of(bench))
    assert [row.key for row in bench.rows("SELECT key FROM @steps")] == ["do:part 0:1"]
    assert ran == [0]
    assert bench.rows("SELECT wanted, holder FROM @instances") == [(1, "another")]


def test_the_function_is_told_of_nothing_that_was_taken_from_its_holder(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = {0, 2}
    told: list[int] = []

    def body(number: int) -> int:
        if number in lost:
            change(bench, f"UPDATE @attempts SET worker = 'another' WHERE key = 'do:part {number}:1'")
        return number

    class Fan(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            async def part(number: int) -> None:
                told.append(await step.do(f"part {number}", body, number))

            await asyncio.gather(*(part(number) for number in range(10)))

    monkeypatch.setattr(sharing, "monotonic", lambda: 0.0)  # all bodies are quick, so the second chunk is of four
    instance = bench.create(Fan)
    advance(bench.runtime, key_of(bench))
    assert told == [1, 3, 4, 5, 6, 7, 8, 9]
    assert [row.worker for row in bench.rows("SELECT worker FROM @attempts")] == ["another"] * 2
    lost.clear()
    change(bench, "UPDATE @attempts SET state = 'ready', worker = NULL, ring_at = 0")
    bench.after("10 seconds")
    assert instance.result(timeout=0) is None
    assert sorted(told[8:]) == [0, 2]
    assert bench.rows("SELECT wanted FROM @instances")[0].wanted == 0, "what it has done itself is no news"


def test_a_process_that_does_not_know_the_workflow_hands_the_steps_back(bench: Bench, bodies: Bodies) -> None:
    instance = bench.create(fan(2, bodies))
    pk = key_of(bench)
    advance(bench.worker(registry=bench.registry, queues=("coordinators",)), pk)
    run_steps(bench.worker(), pk)
    assert [step.status for step in instance.describe().steps] == ["complete", "queued", "queued"]
    bench.after("10 seconds")
    assert instance.result(timeout=0) == results(2)
    assert [step.attempts for step in instance.describe().steps] == [1, 1, 1, 1]


def test_parallel_steps_retry_each_by_itself(bench: Bench) -> None:
    steady, shaky = Failing(times=0), Failing(times=2)
    policy = {"retries": {"limit": 2, "delay": "1 minute", "backoff": "constant"}}

    class Fan(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[str]:
            return list(await asyncio.gather(step.do("steady", policy, steady), step.do("shaky", policy, shaky)))

    instance = bench.run(Fan)
    assert (steady.attempts, shaky.attempts, instance.status().status) == (1, 1, "waiting")
    bench.restart_process()
    bench.after("1 minute")
    bench.after("1 minute")
    assert instance.result(timeout=0) == ["done", "done"]
    assert (steady.attempts, shaky.attempts) == (1, 3)


def test_a_race_takes_the_first_result_and_leaves_nothing_of_the_others(bench: Bench, bodies: Bodies) -> None:
    class Race(WorkflowEntrypoint):
        def run(self, event: Any, step: Any) -> list[Any]:
            first = step.race(
                lambda: step.do("fast", bodies("fast")),
                lambda: step.sleep("slow", "1 hour"),
                lambda: step.wait_for_event("never", "news"),
                lambda: step.do("elsewhere", bodies("elsewhere"), queue="gpu"),
            )
            step.sleep("rest", "1 minute")
            return [first]

    instance = bench.run(Race)
    assert bench.rows("SELECT key FROM @timers") == [("sleep:rest:1",)]
    assert bench.rows("SELECT * FROM @attempts") == []
    bench.restart_process()
    bench.after("1 minute")
    assert instance.result(timeout=0) == ["fast"]
    assert bodies.ran == ["fast"]
