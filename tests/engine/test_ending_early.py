"""Terminating, restarting and deleting: at once, from anywhere, a step of the instance itself included."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.errors import InstanceErrored, InstanceNotFound, InstanceTerminated
from tests.engine.bench import Bench, Bodies, Own, steps_of


@pytest.mark.parametrize("colour", ["def", "async def"])
def test_a_step_that_runs_while_its_instance_is_terminated_leaves_no_result(
    bench: Bench, bodies: Bodies, own: Own, colour: str
) -> None:
    class Two(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            def first() -> str:
                own(event).terminate()
                return bodies("first")()

            async def first_later() -> str:
                return first()

            await step.do("first", first if colour == "def" else first_later)
            await step.do("second", bodies("second"))

    instance = bench.run(Two)
    assert instance.status().status == "terminated"
    assert bodies.ran == ["first"]
    assert instance.describe().steps == []
    with pytest.raises(InstanceTerminated, match=instance.id):
        instance.result(timeout=0)


def test_terminating_takes_timers_waits_and_shared_steps_away(bench: Bench, bodies: Bodies, own: Own) -> None:
    class Busy(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await asyncio.gather(
                step.sleep("nap", "1 hour"),
                step.wait_for_event("wait", "news"),
                step.do("render", bodies("render"), queue="gpu"),
            )

    instance = bench.run(Busy)
    instance.terminate()
    gpu = bench.worker(registry=bench.registry, queues=("gpu",))
    bench.clock.advance("2 hours")
    bench.work(gpu)
    bench.work()
    assert bodies.ran == []
    for table in ("timers", "attempts"):
        assert bench.rows(f"SELECT * FROM @{table}") == []
    assert instance.status().status == "terminated"


def counting(bench: Bench, bodies: Bodies) -> type[WorkflowEntrypoint[Any]]:
    class Story(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            await step.do("begin", bodies("begin"))
            order = await step.wait_for_event("what next", "order")
            if order.payload == "fail":
                raise ValueError("as told")
            return [event.payload, order.payload]

    return Story


@pytest.mark.parametrize("status", ["queued", "waiting", "paused", "complete", "errored", "terminated"])
@pytest.mark.cloudflare(37)
def test_a_restart_runs_again_from_the_start_and_the_run_before_stays_readable(
    bench: Bench, bodies: Bodies, status: str
) -> None:
    instance = bench.create(counting(bench, bodies), {"n": 1})
    if status != "queued":
        bench.work()
    if status in ("complete", "errored"):
        instance.send_event("order", "fail" if status == "errored" else "finish")
        bench.work()
    if status in ("paused", "terminated"):
        getattr(instance, {"paused": "pause", "terminated": "terminate"}[status])()
    before = instance.describe()
    assert before.status == status
    instance.send_event("other" if status == "waiting" else "order", "of the old run")
    bench.clock.advance("1 minute")
    assert instance.restart().status == "queued"
    bench.work()
    after = instance.describe()
    assert (after.run, after.status, after.output, after.error) == (2, "waiting", None, None)
    assert after.params == {"n": 1}
    assert after.started_at == bench.clock.now_ms()
    assert bodies.count("begin") == (1 if status == "queued" else 2)
    (kept,) = bench.rows("SELECT run, status, started_at, ended_at, output, error FROM @runs")
    assert (kept.run, kept.status) == (1, status)
    if status == "complete":
        assert kept.output == '[{"n":1},"finish"]'
    if status == "errored":
        assert "as told" in kept.error
    old_steps = bench.rows("SELECT key FROM @steps WHERE run = 1 ORDER BY seq")
    assert [f"{step.kind}:{step.name}:{step.count}" for step in before.steps if step.status == "complete"] == [
        row.key for row in old_steps
    ]
    instance.send_event("order", "finish")
    bench.work()
    assert instance.result(timeout=0) == [{"n": 1}, "finish"]


def test_a_restart_can_follow_a_restart(bench: Bench, bodies: Bodies) -> None:
    instance = bench.run(counting(bench, bodies))
    for _ in range(3):
        instance.restart()
        bench.work()
    assert (instance.describe().run, bodies.count("begin")) == (4, 4)
    assert [row.run for row in bench.rows("SELECT run FROM @runs ORDER BY run")] == [1, 2, 3]


def test_a_step_that_runs_while_its_instance_is_restarted_leaves_no_result_in_the_new_run(
    bench: Bench, bodies: Bodies, own: Own
) -> None:
    class Once(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            def first() -> int:
                bodies.ran.append("first")
                if bodies.count("first") == 1:
                    own(event).restart()
                return bodies.count("first")

            return await step.do("first", first)

    instance = bench.run(Once)
    assert instance.result(timeout=0) == 2
    assert instance.describe().run == 2
    assert bench.rows("SELECT run, result FROM @steps") == [(2, "2")]


def test_shared_steps_of_the_run_before_do_not_count_in_the_new_one(bench: Bench, bodies: Bodies, own: Own) -> None:
    class Fan(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            def body(name: str) -> int:
                bodies.ran.append(name)
                if name == "a" and bodies.count("a") == 1:
                    own(event).restart()
                return bodies.count(name)

            return list(await asyncio.gather(*(step.do(name, body, name) for name in "ab")))

    instance = bench.run(Fan)
    assert instance.result(timeout=0) == [2, 1]
    assert sorted(bodies.ran) == ["a", "a", "b"]


@pytest.mark.parametrize("run_colour", ["def", "async def"])
@pytest.mark.parametrize("place", ["def", "async def", "run"])
@pytest.mark.cloudflare(48)
def test_an_instance_may_delete_itself_and_nothing_after_that_runs(
    bench: Bench, bodies: Bodies, own: Own, place: str, run_colour: str
) -> None:
    def delete(event: Any) -> None:
        try:
            own(event).delete()
            bodies.ran.append("the line after")
        except Exception:
            bodies.ran.append("a handler of the author's")

    async def delete_later(event: Any) -> None:
        delete(event)

    class Gone(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            if place == "run":
                await step.do("before", lambda: None)
                delete(event)
            await step.do("delete", delete if place == "def" else delete_later, event)
            await step.do("after", bodies("after"))

    class BlockingGone(WorkflowEntrypoint):
        def run(self, event: Any, step: Any) -> None:
            if place == "run":
                step.do("before", lambda: None)
                delete(event)
            step.do("delete", delete if place == "def" else delete_later, event)
            step.do("after", bodies("after"))

    instance = bench.run(Gone if run_colour == "async def" else BlockingGone)
    with pytest.raises(InstanceNotFound):
        instance.status()
    assert bodies.ran == []
    for table in ("instances", "steps", "attempts", "timers", "events", "runs"):
        assert bench.rows(f"SELECT * FROM @{table}") == []


def test_a_step_may_delete_another_instance_and_goes_on(bench: Bench, bodies: Bodies, own: Own) -> None:
    class Cleaner(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            if event.payload == "old":
                return await step.sleep("wait", "1 day")

            def clean() -> str:
                bench.client.workflow(Cleaner).get("old").delete()
                return "gone on"

            return await step.do("clean", clean)

    bench.run(Cleaner, "old", id="old")
    assert bench.run(Cleaner, "new").result(timeout=0) == "gone on"


def test_what_still_runs_for_a_deleted_instance_never_reaches_one_that_took_its_id(
    bench: Bench, bodies: Bodies, own: Own
) -> None:
    class Heir(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            def first() -> str:
                bodies.ran.append(event.payload)
                if event.payload == "old":
                    contextvars.Context().run(own(event).delete)  # as if somebody else did it
                    bench.client.workflow(Heir).create("new", id=event.instance_id)
                    bench.work(bench.worker(registry=bench.registry))
                return str(event.payload)

            seen = await step.do("first", first)
            await step.wait_for_event("wait", "end")
            return seen

    instance = bench.run(Heir, "old", id="heir")
    with pytest.raises(InstanceNotFound):
        instance.status()
    heir = bench.client.workflow(Heir).get("heir")
    heir.send_event("end")
    bench.work()
    assert heir.result(timeout=0) == "new"
    assert bodies.ran == ["old", "new"]


def test_a_new_instance_of_an_old_id_begins_anew_where_the_old_one_was_kept_alive(bench: Bench, bodies: Bodies) -> None:
    story = counting(bench, bodies)
    bench.run(story, "old", id="same").delete()
    again = bench.run(story, "new", id="same")
    assert bodies.count("begin") == 2
    again.send_event("order", "finish")
    bench.work()
    assert again.result(timeout=0) == ["new", "finish"]


def test_an_errored_instance_says_with_what(bench: Bench, bodies: Bodies) -> None:
    instance = bench.run(counting(bench, bodies), id="failing")
    instance.send_event("order", "fail")
    bench.work()
    with pytest.raises(InstanceErrored, match="'failing' of workflow 'story' ended with ValueError: as told") as raised:
        instance.result(timeout=0)
    assert raised.value.error == {"name": "ValueError", "message": "as told"}
    assert steps_of(instance)["begin-1"].output == "begin"
