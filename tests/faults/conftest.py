"""A database and a broker for each test, with nobody at work there yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.bench import Bench, Bodies
from tests.processes.workers import QUICK_DEATH, TEST_S, Site, Stage


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.process)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(TEST_S))


@pytest.fixture
def site(tmp_path: Path, postgres_url: str, valkey_url: str) -> Iterator[Site]:
    """Whose workers are soon missed."""
    with Site(tmp_path, postgres_url, valkey_url, dict(QUICK_DEATH)) as site:
        yield site


@pytest.fixture
def stage(site: Site, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(site.client, tmp_path)
    yield stage
    stage.open_gate()  # a failed test must leave no body behind that waits for it


@pytest.fixture
def make_bench(database_url: str) -> Iterator[Callable[..., Bench]]:
    """A worker and a client within this process, on a clock that tests move."""
    made: list[Bench] = []

    def make(**settings: Any) -> Bench:
        made.append(Bench(database_url, **settings))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


@pytest.fixture
def bodies() -> Bodies:
    return Bodies()
