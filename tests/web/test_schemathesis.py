"""schemathesis reads the document of the REST interface and tries to break the real app by it, one tag at a time.

It is the same in every run: seeded, without a database of examples, and nothing of an answer is used to ask again.
No worker runs, so nothing that it starts goes on.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from flask import Flask
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema
from schemathesis.transport.wsgi import WSGITransport

from orchestrator import Client, Settings, WorkflowEntrypoint, WorkflowEvent, WorkflowStep
from orchestrator.authoring.registry import Registry
from orchestrator.client import Instance
from orchestrator.engine.host import register
from orchestrator.engine.local import LocalDoorbell, run_until_idle
from orchestrator.engine.runtime import Runtime
from orchestrator.store.database import Database
from tests.checkout import ROOT
from web import WebSettings, access, create_app
from web.api import subscribe
from web.repeats import HEADER, MAX_KEY

SEED = 20_261_122
EXAMPLES = 3
"""For each operation and kind of data, beside those that cover its schema."""
KNOWN = {"workflow": ["orders"], "instance_id": ["o-1", "o-2", "o-3"], "schedule_id": ["1"], "event_type": ["paid"]}
"""Most requests are about what there is: others end at a 404."""
COVERAGE: dict[str, Any] = {"extra-data-sources": {"responses": False}}
FUZZING = COVERAGE | {"error-feedback": {"enabled": False}}
ONLY_HTTP = ("max_redirects", "verify", "cert", "proxies")
NOT_SAID = {
    "add_schedule": "what is a cron expression, and a time zone",
    "all_aggregates": "that `since` comes before `until`, and that hours and days exclude each other",
    "configure_workflow": "what is a cron expression, a time zone and a duration",
    "create_batch": "which of its fields go together, and what is a duration",
    "create_instance": "which ids are reserved, and what is a duration",
    "create_token": "what is a duration, and which characters can be seen",
    "delete_batch": "what is an id",
    "subscribe": "which events there are, and which cursors",
    "terminate_all": "which statuses can be terminated",
    "workflow_aggregates": "that `since` comes before `until`, and that hours and days exclude each other",
}
"""What the document leaves to the errors of an operation: it may refuse (400, 422) what the document allows."""
# By what there is, whatever is sent: 404, 409, and 412 where an If-Match says what was seen. 5xx has its own check.
FINE = {"expected-statuses": ["2xx", "3xx", "401", "403", "404", "409", "412", "429", "5xx"]}
MAY_REFUSE = {"expected-statuses": [*FINE["expected-statuses"], "400", "422"]}
DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text())
OPERATIONS = {
    f"{method.upper()} {path}": operation["tags"][0]
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}


class Orders(WorkflowEntrypoint[Any]):
    name = "orders"

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
        packed = await step.do("pack", lambda: {"packed": event.payload})
        if event.payload == "broken":
            raise ValueError("there is no tea")
        if event.payload == "waits":
            await step.wait_for_event("is paid", "paid", timeout="1 day")
        return packed


@pytest.fixture
def app(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Flask, str]]:
    """With instances that are complete, errored and waiting, a schedule, and a token that may do everything."""
    # Nothing waits for long: there is nobody here who would end an instance.
    wait = Instance.result
    monkeypatch.setattr(Instance, "result", lambda self, timeout=None, **given: wait(self, 0, **given))
    monkeypatch.setattr(subscribe, "HEARTBEAT_S", 0.0)
    monkeypatch.setattr(subscribe, "LONGEST_S", 0.0)
    # It guesses at tokens.
    monkeypatch.setattr(access, "FAILURES", 1_000_000)
    monkeypatch.setattr(WSGITransport, "send", send_by_wsgi(WSGITransport.send))
    settings = Settings(database_url=database_url)
    database = Database(settings.database_url)
    registry = Registry([Orders])
    runtime = Runtime(database, registry, settings, LocalDoorbell(database.clock))
    register(runtime)
    client = Client(settings, database=database, doorbell=runtime.doorbell)
    orders = client.workflow("orders")
    for id, params in zip(KNOWN["instance_id"], ("tea", "broken", "waits"), strict=True):
        orders.create(params, id=id)
    orders.add_schedule("30 7 * * MON-FRI", "Europe/Berlin")
    run_until_idle(runtime, runtime.doorbell)
    secret, _ = client.access.create_token("everything", role="admin")
    yield create_app(client, registry=registry, settings=WebSettings(auth="tokens")), secret
    runtime.bodies.stop()
    runtime.completions.stop()
    database.close()


def send_by_wsgi(send: Callable[..., Any]) -> Callable[..., Any]:
    """Where it asks once more without a token, it gives what its HTTP client takes, and that of WSGI does not know it.

    It gives different requests one Idempotency-Key, which is rightly refused: each key that could be one gets a number.
    """
    numbers = itertools.count()

    def sent(self: WSGITransport, case: Any, **given: Any) -> Any:
        key = case.headers.get(HEADER)
        if isinstance(key, str) and len(key) <= MAX_KEY and re.fullmatch("[!-~]+", key):
            case.headers[HEADER] = f"{next(numbers)}-{key}"[:MAX_KEY]
        return send(self, case, **{name: given[name] for name in given if name not in ONLY_HTTP})

    return sent


def configured(secret: str, phases: dict[str, Any]) -> SchemathesisConfig:
    return SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            "headers": {"Authorization": f"Bearer {secret}"},
            "dictionaries": {name: {"values": values} for name, values in KNOWN.items()},
            "parameters": {f"path.{name}": {"dictionary": name, "probability": 0.8} for name in KNOWN},
            "phases": {name: {"enabled": False} for name in ("examples", "coverage", "fuzzing", "stateful")} | phases,
            "checks": {"positive_data_acceptance": FINE},
            "operations": [{"include-operation-id": [*NOT_SAID], "checks": {"positive_data_acceptance": MAY_REFUSE}}],
            "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none", "no-shrink": True},
        }
    )


pytestmark = pytest.mark.timeout(600)  # a few seconds each where nothing else runs


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("tag", sorted({*OPERATIONS.values()} - {"document"}))  # which takes nothing
def test_schemathesis_finds_nothing(app: tuple[Flask, str], tag: str) -> None:
    flask, secret = app
    config = configured(secret, {"coverage": COVERAGE, "fuzzing": FUZZING})
    others = [other for other in OPERATIONS.values() if other != tag]
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", flask, config=config)
    tried, found = run(schema.exclude(tag=others))
    assert "\n".join(found) == ""
    assert tried == {operation for operation, of in OPERATIONS.items() if of == tag}


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_schemathesis_finds_nothing_on_postgres_either(app: tuple[Flask, str]) -> None:
    flask, secret = app
    config = configured(secret, {"fuzzing": FUZZING})
    tried, found = run(schemathesis.openapi.from_wsgi("/api/v1/openapi.json", flask, config=config))
    assert "\n".join(found) == ""
    assert set(OPERATIONS) - tried == {"GET /openapi.json"}  # which takes nothing


def run(schema: Any) -> tuple[set[str], list[str]]:
    """The operations that were tried, and what was found."""
    tried: set[str] = set()
    found: list[str] = []
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError):
            found.append(f"{event.label}: {event.value!r}")
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.ScenarioFinished):
            tried.add(event.recorder.label)
            found += failures(event.recorder)
    return tried, found


def failures(recorder: Any) -> list[str]:
    return [
        f"{recorder.label}: {check.name}: {check.failure_info.failure.title}: {check.failure_info.failure.message}\n"
        f"{check.failure_info.code_sample}"
        for checks in recorder.checks.values()
        for check in checks
        if check.status == Status.FAILURE and check.failure_info is not None
    ]
