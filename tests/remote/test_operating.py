"""Settings, counts, tokens, the log of changes and rejected messages: the same from both clients."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.client import AuditEntry, Client, RejectedMessage, TokenView
from orchestrator.errors import (
    InvalidDuration,
    InvalidRetention,
    InvalidSchedule,
    InvalidWorkflowSettings,
    MessageNotFound,
    OrchestratorError,
    TokenNotFound,
    UsageError,
)
from orchestrator.inspection import WorkflowView
from orchestrator.remote import RemoteClient
from tests.remote.conftest import Both

AnyClient = Client | RemoteClient
DAY_MS = 24 * 3_600_000


def test_a_workflow_is_set_and_given_back_to_its_class(both: Both, client: AnyClient) -> None:
    orders = client.workflow("orders")
    shown = orders.configure(
        limits={"steps": 500},
        concurrency={"limit": 8},
        default_retention={"success_retention": "forever", "error_retention": "7 days"},
        schedules=["0 7 * * *", {"cron": "0 8 * * 1", "timezone": "Europe/Lisbon", "params": {"items": ["ä"]}}],
    )
    assert type(shown) is WorkflowView
    assert shown == both.agree(lambda client: client.workflow("orders").describe())
    assert (shown.limits, shown.concurrency) == ({"steps": 500}, {"limit": 8})
    assert shown.default_retention["error_retention"] == 7 * DAY_MS
    made = both.agree(lambda client: client.workflow("orders").schedules())
    assert {(view.cron, view.timezone) for view in made} == {("0 7 * * *", "UTC"), ("0 8 * * 1", "Europe/Lisbon")}
    assert ["ä"] in [(view.params or {}).get("items") for view in made]

    shown = orders.configure(concurrency=None, limits={}, schedules=None)
    assert (shown.limits, shown.concurrency) == ({}, {})
    assert shown.default_retention["error_retention"] == 7 * DAY_MS
    assert both.agree(lambda client: client.workflow("orders").schedules()) == []


def test_settings_that_can_not_be_are_refused_alike(both: Both) -> None:
    wrong: list[tuple[dict[str, Any], type[OrchestratorError]]] = [
        ({"limit": {}}, InvalidWorkflowSettings),
        ({"limits": {"step": 5}}, InvalidWorkflowSettings),
        ({"limits": {"steps": True}}, InvalidWorkflowSettings),
        ({"concurrency": {"limit": 0}}, InvalidWorkflowSettings),
        ({"default_retention": {"error_retention": "soon"}}, InvalidRetention),
        ({"schedules": "never"}, InvalidSchedule),
    ]
    for settings, kind in wrong:
        both.refuse(lambda client, settings=settings: client.workflow("orders").configure(**settings), kind)


def test_instances_are_counted_and_skipped(both: Both) -> None:
    for number in range(5):
        both.local.workflow("echo").create(id=f"e{number}")
        both.bench.clock.advance("1 minute")
    both.local.workflow("echo").get("e1").terminate()
    at = both.local.workflow("echo").get("e3").describe().created_at

    def count(**asked: Any) -> int:
        found = both.agree(lambda client: client.workflow("echo").count(**asked))
        assert isinstance(found, int)
        return found

    assert (count(), count(status=["terminated"]), count(status=["queued", "terminated"])) == (5, 1, 5)
    assert (count(since=at), count(until=at - 1), count(since=at, until=at)) == (2, 3, 1)
    both.refuse(lambda client: client.workflow("echo").count(status=["done"]), UsageError)
    skipped = both.agree(lambda client: client.workflow("echo").list(limit=2, offset=2))
    assert [view.id for view in skipped] == ["e2", "e1"]
    both.refuse(lambda client: client.workflow("echo").list(offset=-1), UsageError)


def test_a_token_is_made_shown_and_revoked(both: Both, client: AnyClient) -> None:
    secret, made = client.access.create_token("deploy", role="operate", workflows=["orders"], expires="90 days")
    assert type(made) is TokenView
    assert both.local.access.check_token(secret).id == made.id
    assert (made.role, made.workflows) == ("operate", ["orders"])
    assert made.expires_at == made.created_at + 90 * DAY_MS
    assert [view.id for view in both.agree(lambda client: client.access.tokens())] == [made.id]
    assert client.access.revoke_token(made.id).revoked_at is not None
    with pytest.raises(OrchestratorError, match="token"):
        both.local.access.check_token(secret)


def test_tokens_that_can_not_be_are_refused_alike(both: Both) -> None:
    wrong: list[tuple[dict[str, Any], type[OrchestratorError]]] = [
        ({"name": ""}, UsageError),
        ({"name": 7}, UsageError),
        ({"name": "a", "role": "root"}, UsageError),
        ({"name": "a", "workflows": []}, UsageError),
        ({"name": "a", "workflows": "orders"}, UsageError),
        ({"name": "a", "expires": "soon"}, InvalidDuration),
    ]
    for given, kind in wrong:
        both.refuse(lambda client, given=given: client.access.create_token(**given), kind)
    for id in ("nobody", "", "../audit", 7):
        both.refuse(lambda client, id=id: client.access.revoke_token(id), TokenNotFound)


def test_the_log_of_changes_is_read_in_pages(both: Both) -> None:
    for number in range(103):
        both.local.access.record("ann", "test", f"thing {number}", "done")
    whole = both.agree(lambda client: client.access.audit(limit=200))
    assert {type(entry) for entry in whole} == {AuditEntry}
    assert [entry.target for entry in whole] == [f"thing {number}" for number in reversed(range(103))]
    assert both.agree(lambda client: client.access.audit(limit=2, before=whole[4].id)) == whole[5:7]
    both.refuse(lambda client: client.access.audit(limit=True), UsageError)


def test_rejected_messages_are_listed_tried_again_and_deleted(both: Both, client: AnyClient) -> None:
    def reject(number: int, **more: Any) -> None:
        body = json.dumps({"action": "send_event", "workflow": "orders", "message_id": f"m-{number}", **more})
        with pytest.raises(OrchestratorError) as refused:
            both.local.accept_message(body)
        assert both.local.reject_message(body, refused.value, message_id=None, queue="inbox")

    for number in range(3):
        reject(number, instance_id="later", type="approval")
    found = both.agree(lambda client: client.rejected_messages())
    assert ({type(message) for message in found}, [message.message_id for message in found]) == (
        {RejectedMessage}, ["m-2", "m-1", "m-0"]
    )  # fmt: skip
    assert both.agree(lambda client: client.rejected_messages(limit=1, before=found[0].id)) == [found[1]]

    both.refuse(lambda client: client.retry_message(found[0].id), type(_why(both, found[0].id)))
    both.local.workflow("orders").create(id="later")
    client.retry_message(found[0].id)
    client.delete_message(found[1].id)
    assert [message.message_id for message in client.rejected_messages()] == ["m-0"]
    for id in (found[0].id, -1, 2**70):
        both.refuse(lambda client, id=id: client.retry_message(id), MessageNotFound)
        both.refuse(lambda client, id=id: client.delete_message(id), MessageNotFound)
    both.refuse(lambda client: client.delete_message(True), UsageError)


def _why(both: Both, id: int) -> OrchestratorError:
    with pytest.raises(OrchestratorError) as refused:
        both.local.retry_message(id)
    return refused.value
