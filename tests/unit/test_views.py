"""Events and contexts are read by attribute, or by key as in Cloudflare's SDK, in either spelling; nothing can be set."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.authoring.views import EventSchedule, ReceivedEvent, StepContext, StepInfo, WorkflowEvent

NOW = datetime(2026, 1, 2, tzinfo=UTC)
EVENT: WorkflowEvent[Any] = WorkflowEvent({"a": 1}, NOW, "order-1", "orders", EventSchedule("0 0 * * *", 5))
RECEIVED: ReceivedEvent[Any] = ReceivedEvent("yes", NOW, "reply")
CONTEXT = StepContext(StepInfo("charge", 2), 3, {"timeout": "1 minute"}, "key", "order-1", "orders")


@pytest.mark.parametrize(
    ("view", "key", "value"),
    [
        (EVENT, "payload", {"a": 1}),
        (EVENT, "timestamp", NOW),
        (EVENT, "instanceId", "order-1"),
        (EVENT, "instance_id", "order-1"),
        (EVENT, "workflowName", "orders"),
        (EVENT["schedule"], "cron", "0 0 * * *"),
        (EVENT["schedule"], "scheduledTime", 5),
        (RECEIVED, "payload", "yes"),
        (RECEIVED, "type", "reply"),
        (CONTEXT["step"], "name", "charge"),
        (CONTEXT["step"], "count", 2),
        (CONTEXT, "attempt", 3),
        (CONTEXT, "config", {"timeout": "1 minute"}),
        (CONTEXT, "idempotencyKey", "key"),
    ],
)
def test_a_view_reads_by_key_in_either_spelling(view: Any, key: str, value: Any) -> None:
    assert view[key] == value
    assert view.get(key) == value
    assert key in view


@pytest.mark.parametrize("key", ["nothing", "Payload", "instanceID", "__class__", "keys", "get", ""])
def test_a_key_that_is_none_is_a_key_error(key: str) -> None:
    with pytest.raises(KeyError):
        EVENT[key]
    assert EVENT.get(key) is None
    assert EVENT.get(key, 5) == 5
    assert key not in EVENT


def test_a_view_becomes_a_dictionary() -> None:
    assert dict(RECEIVED) == {"payload": "yes", "timestamp": NOW, "type": "reply"}  # type: ignore[call-overload]
    assert list(CONTEXT["step"]) == ["name", "count"]
    assert {**CONTEXT["step"]} == {"name": "charge", "count": 2}


@pytest.mark.parametrize("view", [EVENT, RECEIVED, CONTEXT, CONTEXT.step, EVENT.schedule])
def test_a_view_cannot_be_changed(view: Any) -> None:
    field = dataclasses.fields(view)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(view, field, "other")
    with pytest.raises(TypeError):
        view[field] = "other"
