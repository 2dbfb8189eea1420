"""What can't be stored, or is too much, ends clearly: nothing is cut, and nothing hangs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from orchestrator import WorkflowEntrypoint
from orchestrator.engine.host import register
from orchestrator.errors import StepLimitExceeded
from tests.engine.bench import Bench, Bodies, steps_of

AT_ONCE = {"retries": {"limit": 2, "delay": 0}}


class Order(BaseModel):
    items: int


def loop_list() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


@pytest.mark.parametrize(
    "value",
    [object, loop_list, lambda: float("nan"), lambda: {"f": print}, lambda: "\udce9"],
    ids=["object", "circle", "nan", "function", "surrogate"],
)
def test_a_result_that_is_no_json_ends_the_instance_without_another_attempt(
    bench: Bench, bodies: Bodies, value: Callable[[], Any]
) -> None:
    class Careful(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            try:
                await step.do("make", AT_ONCE, bodies("make", value))
            except Exception:
                await step.do("go on", bodies("go on"))
            return "went on"

    instance = bench.run(Careful)
    state = instance.status()
    assert state.status == "errored"
    assert state.error is not None
    assert state.error["name"] == "NotSerializableError"
    assert 'as the step "make" returned a value which is not serialisable' in state.error["message"]
    assert bodies.ran == ["make"]
    step = steps_of(instance)["make-1"]
    assert (step.status, [attempt.status for attempt in step.attempt_log]) == ("errored", ["errored"])


def test_parallel_steps_end_the_instance_too_when_one_returns_what_is_no_json(bench: Bench, bodies: Bodies) -> None:
    class Careful(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            made = [
                step.do(f"make {n}", AT_ONCE, bodies(f"make {n}", lambda n=n: object() if n else 0)) for n in (0, 1)
            ]
            await asyncio.gather(*made, return_exceptions=True)
            return "went on"

    instance = bench.create(Careful)
    other = bench.worker(registry=bench.registry)
    ring = bench.doorbell.due()
    assert ring is not None
    publish_only(bench, ring.instance_pk)
    bench.work(other)
    state = instance.status()
    assert state.status == "errored"
    assert state.error is not None
    assert 'as the step "make 1" returned a value which is not serialisable' in state.error["message"]
    assert sorted(bodies.ran) == ["make 0", "make 1"]


def publish_only(bench: Bench, pk: int) -> None:
    """Drive an instance up to its parallel steps in a worker that serves none of their queues, so that others get them."""
    from orchestrator.engine.activation import advance

    advance(bench.worker(registry=bench.registry, queues=("elsewhere",)), pk)


def test_a_result_that_does_not_fit_its_annotation_ends_the_instance(bench: Bench) -> None:
    def count() -> int:
        return "many"  # type: ignore[return-value]

    class Wrong(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> int:
            counted: int = await step.do("count", count)
            return counted

    error = bench.run(Wrong).status().error
    assert error is not None
    assert 'the step "count"' in error["message"]


def test_a_result_over_the_limit_fails_its_attempt_and_is_tried_again(
    make_bench: Callable[..., Bench], bodies: Bodies
) -> None:
    bench = make_bench(max_payload_bytes=1000)
    sizes = iter([2000, 999, 5])

    class Big(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> int:
            return len(await step.do("load", AT_ONCE, bodies("load", lambda: "x" * next(sizes))))

    instance = bench.run(Big)
    assert instance.result(timeout=0) == 5
    errors = [attempt.error for attempt in steps_of(instance)["load-1"].attempt_log]
    assert errors[0] == {
        "name": "PayloadTooLarge",
        "message": "Step load-1 output is too large: 2,002 bytes, and the limit is 1,000 bytes. "
        "Keep large data elsewhere and pass a reference.",
    }
    assert errors[1] is not None
    assert errors[2] is None


def test_an_output_over_the_limit_ends_the_instance_and_its_steps_stay(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_payload_bytes=1000)

    class Big(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            half: str = await step.do("half", lambda: "x" * 600)
            return half + half

    instance = bench.run(Big)
    state = instance.status()
    assert state.error is not None
    assert state.error["message"].startswith("The output of workflow 'big' is too large: 1,202 bytes")
    assert steps_of(instance)["half-1"].output == "x" * 600


def test_an_output_that_is_no_json_ends_the_instance(bench: Bench) -> None:
    class Odd(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> object:
            return object()

    error = bench.run(Odd).status().error
    assert error is not None
    assert error["message"].startswith("The output of workflow 'odd' is not serialisable")


def test_the_step_after_the_last_one_allowed_is_refused(bench: Bench, bodies: Bodies) -> None:
    class Long(WorkflowEntrypoint):
        limits = {"steps": 3}  # noqa: RUF012

        async def run(self, event: Any, step: Any) -> str:
            try:
                for _ in range(event.payload["steps"]):
                    await step.do("one", bodies("one"))
            except StepLimitExceeded as error:
                return str(error)
            return "within"

    assert bench.run(Long, {"steps": 3}).result(timeout=0) == "within"
    bodies.ran.clear()
    assert bench.run(Long, {"steps": 4}).result(timeout=0).startswith("The limit of 3 steps has been reached.")
    assert bodies.count("one") == 3


def test_a_limit_set_from_outside_counts_more_than_the_one_of_the_class(bench: Bench, bodies: Bodies) -> None:
    class Long(WorkflowEntrypoint):
        limits = {"steps": 3}  # noqa: RUF012

        async def run(self, event: Any, step: Any) -> str:
            for _ in range(event.payload["steps"]):
                await step.do("one", bodies("one"))
            return "within"

    def ends(steps: int) -> str:
        bench.after("1 second")
        return bench.run(Long, {"steps": steps}).status().status

    assert ends(3) == "complete"
    register(bench.runtime)
    for limits, most in (({"steps": 2}, 2), ({"steps": 5}, 5), (None, 3)):
        bench.client.workflow("long").configure(limits=limits)
        assert (ends(most), ends(most + 1)) == ("complete", "errored"), limits
    bench.client.workflow("long").configure(limits={})
    assert ends(9) == "complete"
    bench.client.workflow("long").configure(limits={"steps": 2})
    register(bench.runtime)  # a worker that starts does not take it back
    assert ends(3) == "errored"


def test_params_that_no_longer_fit_the_code_end_the_instance_when_it_is_taken_up(bench: Bench) -> None:
    class Orders(WorkflowEntrypoint[Order]):
        async def run(self, event: Any, step: Any) -> int:
            return int(event.payload.items)

    instance = bench.create(Orders, Order(items=1))
    bench.database.transaction(
        lambda connection: connection.exec_driver_sql("UPDATE orchestrator_instances SET params = '{\"items\": null}'")
    )
    bench.work()
    error = instance.status().error
    assert error is not None
    assert error["name"] == "InvalidParams"
    assert "The params do not fit workflow 'orders': items:" in error["message"]


@pytest.mark.parametrize(
    "name", ["caf\udce9", "x" * 257, "bell\x07", ""], ids=["surrogate", "long", "control", "empty"]
)
def test_a_step_name_that_is_not_allowed_is_refused_where_it_is_used(bench: Bench, bodies: Bodies, name: str) -> None:
    class Named(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            return await step.do(name, bodies("body"))

    error = bench.run(Named).status().error
    assert error is not None
    assert error["name"] == "InvalidStepName"
    assert bodies.ran == []


def test_a_queue_whose_name_no_broker_would_take_is_refused_where_it_is_used(bench: Bench, bodies: Bodies) -> None:
    class Named(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            return await step.do("render", bodies("body"), queue="q" * 200)

    error = bench.run(Named).status().error
    assert error is not None
    assert error["name"] == "InvalidStepConfig"
    assert "128" in error["message"]


@pytest.mark.parametrize("colour", ["async def", "def"])
def test_a_run_that_tries_to_end_the_process_ends_its_instance_only(bench: Bench, colour: str) -> None:
    class Leaving(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            sys.exit(3)

    class LeavingPlainly(WorkflowEntrypoint):
        def run(self, event: Any, step: Any) -> None:
            sys.exit(3)

    state = bench.run(Leaving if colour == "async def" else LeavingPlainly).status()
    assert state.error == {"name": "SystemExit", "message": "3"}
