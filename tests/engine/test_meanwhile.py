"""A function goes on with its step while a server is at storing it, and what it comes to counts only once that is done.

A lock on the row of the instance holds the server up until `run` has gone on, so each of these fails where it waits instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.client import Instance
from orchestrator.engine import pump
from orchestrator.errors import InstanceErrored
from orchestrator.store import instances
from tests.engine.bench import Bench, Bodies, steps_of

WORK = "UPDATE orchestrator_instances SET "
Connect = Callable[[], psycopg.Connection[Any]]


@pytest.fixture
def bench(emptied_postgres_url: str) -> Iterator[Bench]:
    with closing(Bench(emptied_postgres_url)) as bench:
        yield bench


@pytest.fixture
def other(bench: Bench) -> Iterator[psycopg.Connection[Any]]:
    """Somebody else's connection, in a transaction that ends when `run` goes on."""
    url = bench.database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with closing(psycopg.connect(url)) as connection:
        yield connection


@pytest.fixture
def two_steps(bodies: Bodies, other: psycopg.Connection[Any]) -> type[WorkflowEntrypoint[Any]]:
    """Between the steps the other transaction is committed, once, and what it finds of the journal is noted."""
    seen: list[int] = []

    class TwoSteps(WorkflowEntrypoint[Any]):
        journal = seen

        async def run(self, event: Any, step: Any) -> Any:
            async def first() -> str:
                if not seen:
                    other.execute(event.payload)
                return str(bodies("first")())

            found = [await step.do("first", first, retries={"limit": 3, "delay": 0})]
            if not seen:
                (number,) = other.execute("SELECT count(*) FROM orchestrator_steps").fetchone() or (None,)
                seen.append(number)
                other.commit()
            if event.instance_id == "fails":
                raise ValueError("in between")
            return [*found, await step.do("second", bodies("second"))]

    return TwoSteps


def finished(bench: Bench, instance: Instance) -> Any:
    bench.settle()
    return instance.result(timeout=0)


def test_it_goes_on_before_its_step_is_stored(bench: Bench, bodies: Bodies, two_steps: Any) -> None:
    instance = bench.run(two_steps, f"{WORK} modified_at = modified_at")
    assert instance.result(timeout=0) == ["first", "second"]
    assert two_steps.journal == [0]
    assert bodies.ran == ["first", "second"]


def test_nothing_begins_before_the_step_is_stored(bench: Bench, bodies: Bodies, two_steps: Any) -> None:
    """The fence has moved: what it asks for next is up to whoever has the instance now."""
    instance = bench.create(two_steps, f"{WORK} fence = fence + 1")
    bench.work()
    assert two_steps.journal == [0]
    assert bodies.ran == ["first"]
    assert steps_of(instance) == {}

    pump.bury(bench.database, known=[bench.runtime.worker_id])
    bench.restart_process()
    assert finished(bench, instance) == ["first", "second"]
    assert bodies.ran == ["first", "first", "second"]


def test_news_in_between_is_read(bench: Bench, bodies: Bodies, two_steps: Any) -> None:
    instance = bench.run(two_steps, f"{WORK} wanted = wanted + 1, status = 'waitingForPause'")
    assert two_steps.journal == [0]
    assert (bodies.ran, instance.status().status) == (["first"], "paused")

    instance.resume()
    assert finished(bench, instance) == ["first", "second"]
    assert bodies.ran == ["first", "second"]


def test_a_function_that_fails_in_between_keeps_its_step(bench: Bench, two_steps: Any) -> None:
    instance = bench.run(two_steps, f"{WORK} modified_at = modified_at", id="fails")
    with pytest.raises(InstanceErrored, match="in between"):
        instance.result(timeout=0)
    assert two_steps.journal == [0]
    assert steps_of(instance)["first-1"].output == "first"


def test_after_a_worker_has_died_with_it_a_function_waits_for_its_step(
    bench: Bench, bodies: Bodies, two_steps: Any
) -> None:
    """Or what it does in between, if that is what takes the process along, would cost the step too."""
    instance = bench.create(two_steps, "SELECT 1")
    (row,) = bench.rows("SELECT id FROM @instances")
    bench.database.statement(lambda c: instances.claim(c, id=row.id, worker="dead", now=bench.clock.now_ms()))
    pump.bury(bench.database, known=["dead"])
    assert finished(bench, instance) == ["first", "second"]
    assert two_steps.journal == [1]
