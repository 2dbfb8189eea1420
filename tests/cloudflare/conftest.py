"""A server process with a worker process of threads behind it, on PostgreSQL and Valkey, and the clients nobody here wrote."""

from __future__ import annotations

import itertools
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cloudflare import Cloudflare

from orchestrator import Client
from orchestrator.store import jobs, workflows
from tests.cli.processes import ORCHESTRATOR
from tests.cloudflare import wrangler
from tests.cloudflare.wrangler import Wrangler
from tests.processes.workers import Site, until
from tests.services import PostgresServer, ValkeyServer, free_port

APP = Path(__file__).with_name("app.py")
ACCOUNT = "0123456789abcdef0123456789abcdef"
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.process)
            # The first test to need wrangler installs it.
            item.add_marker(pytest.mark.timeout(600))


@dataclass(frozen=True)
class Cloud:
    """Where the clients are pointed at, and our own client for what a test must arrange or wait for."""

    url: str
    client: Client
    token: str

    def reaches(self, workflow: str, id: str, status: str) -> None:
        instance = self.client.workflow(workflow).get(id)
        until(lambda: instance.status().status == status, lambda: f"{status}: {instance.describe()}")

    def create(self, workflow: str, id: str, params: Any = None, *, until: str | None = None) -> str:
        self.client.workflow(workflow).create(params, id=id)
        if until is not None:
            self.reaches(workflow, id, until)
        return id

    def order(self, id: str) -> str:
        """An order that waits for its approval."""
        self.create("orders", id, {"items": 3})
        self.awaits_approval(id)
        return id

    def doomed(self) -> None:
        """A workflow without a worker, so that none registers it again, with instances in line."""
        like, now = self.client.workflow("sleeper").describe(), self.client.desk.clock.now_ms()
        self.client.desk.database.transaction(
            lambda connection: workflows.register(
                connection, name="doomed", class_name="Doomed", module="app", queue=like.queue, now=now
            )
        )
        self.client.workflow("doomed").create_batch(count=3)

    def doomed_is_gone(self) -> None:
        assert "doomed" not in [view.name for view in self.client.workflows()]
        until(lambda: "doomed" not in {view.workflow for view in self.client.instances(limit=1000)}, "the removal")

    @contextmanager
    def terminating(self, workflow: str) -> Iterator[None]:
        """A job that no worker comes to before the block ends."""
        database, later = self.client.desk.database, self.client.desk.clock.now_ms() + 3_600_000
        assert database.transaction(
            lambda connection: jobs.add(connection, kind="terminate", workflow=workflow, statuses="[]", now=later)
        )
        yield
        job = database.transaction(lambda connection: jobs.take(connection, now=later, again_at=later))
        assert job is not None
        database.transaction(lambda connection: jobs.done(connection, job.id))

    def awaits_approval(self, id: str) -> None:
        instance = self.client.workflow("orders").get(id)

        def waits() -> bool:
            return any(step.name == "manager approves" for step in instance.describe().steps)

        until(waits, lambda: f"a wait: {instance.describe()}")


@pytest.fixture(scope="package")
def cloud(
    postgres_server: PostgresServer,
    _postgres_template: str,
    valkey_server: ValkeyServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cloud]:
    name = f"cloudflare_{next(_numbers)}"
    database = postgres_server.create_database(name, _postgres_template)
    broker = f"{valkey_server.url.removesuffix('/0')}/9"
    folder = tmp_path_factory.mktemp("cloudflare")
    with Site(folder, database, broker, {"ORCHESTRATOR_APP": str(APP)}) as site:
        site.worker("--concurrency", "4")
        url = f"http://127.0.0.1:{(port := free_port())}"
        server = site.run(*ORCHESTRATOR, "web", "--port", str(port))
        until(lambda: server.ended or _answers(f"{url}/readyz"), server.said)
        assert not server.ended, server.said()
        yield Cloud(url, site.client, site.client.access.create_token("tests", role="admin")[0])
    postgres_server.drop_database(name)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


@pytest.fixture
def sdk(cloud: Cloud) -> Iterator[Cloudflare]:
    """Cloudflare's Python SDK; it must not hide a refusal by trying again."""
    with Cloudflare(api_token=cloud.token, base_url=f"{cloud.url}/client/v4", max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def wrangler_program() -> Path:
    return wrangler.installed()


@pytest.fixture
def cli(cloud: Cloud, wrangler_program: Path, tmp_path: Path) -> Wrangler:
    return Wrangler(wrangler_program, cloud.url, tmp_path, cloud.token)


@pytest.fixture
def fresh() -> Callable[[str], str]:
    """Ids that no other test uses."""
    return lambda prefix: f"{prefix}-{next(_numbers)}"
