"""The two places where workflows run: real workers on PostgreSQL and Valkey, and a service inside this process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator import Client, Settings
from orchestrator.application import load_application
from tasks.embedded import Embedded
from tests.processes.workers import APP, TEST_S, Site, Stage
from tests.services import PostgresServer

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.process)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(TEST_S))


@dataclass(frozen=True)
class Service:
    """Somewhere to run workflows, shared by many tests."""

    kind: str
    client: Client
    log: Callable[[], str]


@contextmanager
def _embedded(folder: Path) -> Iterator[Service]:
    settings = Settings(database_url=f"sqlite:///{folder / 'embedded.db'}")
    with Embedded(settings, load_application(str(APP))) as running:
        yield Service("embedded", running.client, lambda: "")


@contextmanager
def _workers(folder: Path, database_url: str, redis_url: str) -> Iterator[Service]:
    with Site(folder, database_url, redis_url) as site:
        worker = site.worker("--processes", "2", "--concurrency", "8", beats=2)
        yield Service("workers", site.client, worker.said)


@pytest.fixture(scope="package", params=["embedded", "workers"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    if request.param == "embedded":
        with _embedded(folder) as running:
            yield running
        return
    # Asked for only here, so that no servers are started for the other half.
    with _database(request) as url, _workers(folder, url, _broker(request, 2)) as running:
        yield running


@pytest.fixture
def stage(service: Service, tmp_path: Path) -> Iterator[Stage]:
    """A test's own files over the shared service; what the workers said meanwhile is shown if it fails."""
    before = len(service.log())
    with Stage(service.client, tmp_path) as own:
        yield own
    print(service.log()[before:][-8000:])


@pytest.fixture
def site(tmp_path: Path, postgres_url: str, valkey_url: str) -> Iterator[Site]:
    """Services of the test's own, for tests that start workers in their own way."""
    with Site(tmp_path, postgres_url, valkey_url) as own:
        yield own


@pytest.fixture
def own_stage(site: Site) -> Iterator[Stage]:
    with Stage(site.client, site.folder) as own:
        yield own


@pytest.fixture(scope="module")
def lasting_site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Services for all tests of a module, as a start of a worker is what costs most."""
    folder = tmp_path_factory.mktemp("site")
    with _database(request) as url, Site(folder, url, _broker(request, 1)) as lasting:
        yield lasting


@pytest.fixture
def lasting_stage(lasting_site: Site, tmp_path: Path) -> Iterator[Stage]:
    with Stage(lasting_site.client, tmp_path) as own:
        yield own
    for process in lasting_site.processes:
        print(f"--- {process.log.name}\n{process.said()[-4000:]}")


@contextmanager
def _database(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database that outlives a test."""
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"processes_{request.scope}_{next(_numbers)}"
    yield server.create_database(name, request.getfixturevalue("_postgres_template"))
    server.drop_database(name)


def _broker(request: pytest.FixtureRequest, database: int) -> str:
    """A part of the broker of its own: workers on one queue of one broker answer for each other's databases."""
    url: str = request.getfixturevalue("valkey_server").url
    return f"{url.removesuffix('/0')}/{database}"
