"""The web room with its tokens over the real client, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from orchestrator import Client, Settings, WorkflowEntrypoint
from orchestrator.authoring.registry import Registry
from orchestrator.engine import housekeeping
from orchestrator.engine.host import register
from orchestrator.engine.local import LocalDoorbell, run_until_idle
from orchestrator.engine.runtime import Runtime
from orchestrator.store.database import Database
from tests.engine.clock import FakeClock
from web import WebSettings, create_app

INSTANCES = "/api/v1/workflows/orders/instances"


class Orders(WorkflowEntrypoint):
    name = "orders"

    async def run(self, event: Any, step: Any) -> None:
        await step.wait_for_event("wait", "go")


class Billing(Orders):
    name = "billing"


@dataclass
class Door:
    http: FlaskClient
    client: Client
    clock: FakeClock
    runtime: Runtime

    def token(self, role: str = "admin", **more: Any) -> str:
        return self.client.access.create_token(role, role=role, **more)[0]

    def ask(self, method: str, path: str, token: str | None, **request: Any) -> TestResponse:
        headers = dict(request.pop("headers", {})) | ({} if token is None else {"Authorization": f"Bearer {token}"})
        return self.http.open(path, method=method, headers=headers, **request)

    def work(self) -> None:
        """Do what is to be done at this moment."""
        run_until_idle(self.runtime, self.runtime.doorbell)

    def tidy(self) -> None:
        while housekeeping.tidy(self.runtime):
            pass


@contextmanager
def open_door(database_url: str, *workflows: type[WorkflowEntrypoint[Any]], **settings: Any) -> Iterator[Door]:
    chosen = Settings(database_url=database_url, **settings)
    clock = FakeClock()
    database = Database(database_url, clock=clock)
    doorbell = LocalDoorbell(clock)
    runtime = Runtime(database, Registry(list(workflows) or [Orders]), chosen, doorbell)
    register(runtime)
    client = Client(chosen, database=database, doorbell=doorbell)
    app = create_app(client, settings=WebSettings(auth="tokens"))
    yield Door(app.test_client(), client, clock, runtime)
    runtime.bodies.stop()
    runtime.completions.stop()
    database.close()
