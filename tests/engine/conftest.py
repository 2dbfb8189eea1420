"""A bench on each database, and one where no instance goes on alone.

There are hundreds of these tests: on PostgreSQL they share one database, emptied in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from orchestrator.client import Instance
from orchestrator.engine import body_loop
from orchestrator.engine.body_loop import BodyLoop
from tests.engine.bench import Bench, Bodies, Own
from tests.engine.lending import until


@pytest.fixture(
    params=[("sqlite", False), ("emptied_postgres", False), ("emptied_postgres", True)],
    ids=["sqlite", "postgres", "company"],
)
def make_bench(request: pytest.FixtureRequest) -> Iterator[Callable[..., Bench]]:
    """For settings of the test's own."""
    database, in_company = request.param
    database_url = request.getfixturevalue(f"{database}_url")
    made: list[Bench] = []

    def make(**settings: Any) -> Bench:
        made.append(Bench(database_url, in_company=in_company, **settings))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


@pytest.fixture
def own(bench: Bench) -> Own:
    """For a body: the handle of the instance it belongs to, found by the event that started it."""

    def handle(event: Any) -> Instance:
        return bench.client.workflow(bench.registry[event.workflow_name].cls).get(event.instance_id)

    return handle


@pytest.fixture
def bodies() -> Bodies:
    return Bodies()


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[BodyLoop]:
    """One that is lent, and is not taken back for being left alone."""
    monkeypatch.setattr(body_loop, "LENT_S", 60)
    loop = BodyLoop()
    loop.call(loop.lend, lambda: False)
    until(lambda: loop.drive(lambda: True, 0))
    yield loop
    loop.close(30)
