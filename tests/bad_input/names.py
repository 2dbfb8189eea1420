"""Bad names: of workflows, instances, versions and events."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.bad_input.cases import Bad
from tests.bad_input.doors import Ask, run

_LETTERS = "letters, digits, '-' or '_'"


def _workflow(name: str) -> Bad:
    place = f"/workflows/{quote(name, safe='')}"
    return Bad(
        what=f"the workflow name {name[:20]!r}",
        code="workflow.invalid_name",
        words=(repr(name), f"1 to 64 {_LETTERS}"),
        python=lambda client: client.workflow(name),
        rest=Ask("GET", place),
        cloudflare=Ask("GET", place),
        cli=run("describe", "--", name) if "\0" not in name else None,
    )


def _instance(id: str) -> Bad:
    reserved = id in ("batch", "terminate", "terminateAll", "latest") or id.startswith("cf_")
    return Bad(
        what=f"the instance id {id[:20]!r}",
        code="instance.invalid_id",
        words=(repr(id), "reserved; choose another") if reserved else (repr(id), f"1 to 100 {_LETTERS}", "invalid id"),
        python=lambda client: client.workflow("orders").create(id=id),
        rest=Ask("POST", "/workflows/orders/instances", json={"instance_id": id}),
        cloudflare=Ask("POST", "/workflows/orders/instances", json={"instance_id": id}),
        cli=run("trigger", "orders", f"--id={id}"),
    )


def _no_text(value: Any) -> Bad:
    return Bad(
        what=f"the instance id {value!r}, which is no text",
        code="instance.invalid_id",
        words=(repr(value),),
        python=lambda client: client.workflow("orders").create(id=value),
        rest=Ask("POST", "/workflows/orders/instances", json={"instance_id": value}),
        cloudflare=Ask("POST", "/workflows/orders/instances", json={"instance_id": value}),
        http="request.invalid",
    )


def _missing(id: str, *, path: str | None = None) -> Bad:
    place = f"/workflows/orders/instances/{quote(id, safe='') if path is None else path}"
    return Bad(
        what=f"the id {id[:20]!r} of no instance",
        code="instance.not_found",
        words=(f"Workflow 'orders' has no instance with id {id!r}",),
        python=lambda client: client.workflow("orders").get(id),
        rest=Ask("GET", place),
        cloudflare=Ask("GET", place),
        cli=run("instances", "describe", "orders", "--", id) if "\0" not in id else None,
    )


def _version(id: str) -> Bad:
    place = f"/workflows/orders/versions/{quote(id, safe='')}"
    return Bad(
        what=f"the version {id[:20]!r}",
        code="version.not_found",
        words=(f"Workflow 'orders' has no version {id!r}",),
        python=lambda client: client.workflow("orders").version(id),
        rest=Ask("GET", place),
        cloudflare=Ask("GET", place),
        cli=run("graph", "orders", f"--version={id}") if "\0" not in id else None,
    )


def _event(type: str) -> Bad:
    return Bad(
        what=f"the event type {type[:20]!r}",
        code="workflow.invalid_event_type",
        words=(repr(type), f"1 to 100 {_LETTERS}"),
        python=lambda client: client.workflow("orders").get("waits").send_event(type, 1),
        rest=Ask("POST", f"/workflows/orders/instances/waits/events/{quote(type, safe='')}", json=1),
        cloudflare=Ask("POST", f"/workflows/orders/instances/waits/events/{quote(type, safe='')}", json=1),
        cli=run("instances", "send-event", "orders", "waits", f"--type={type}", "--payload", "1"),
    )


CASES = [
    *map(_workflow, ("a b", "-badName", "#1231231!!!!", "x" * 65, "ä", "a.b", "   ", "a\nb", "latest!", "%00")),
    Bad(
        what="a workflow that there is not",
        code="workflow.not_found",
        words=("'ordres'", "orders"),
        python=lambda client: client.workflow("ordres"),
        rest=Ask("GET", "/workflows/ordres"),
        cloudflare=Ask("GET", "/workflows/ordres"),
        cli=run("describe", "ordres"),
    ),
    *map(
        _instance,
        (
            "", "   ", "a b", "\n\nhello", "-badName", "#1231231!!!!", "x" * 101, "ä", "a.b", "a/b", "name\n",
            "batch", "terminate", "terminateAll", "latest", "cf_" + "0" * 64,
        ),
    ),
    *map(_no_text, (7, ["a"], {"a": 1}, True)),
    Bad(
        what="an instance id that is taken",
        code="instance.already_exists",
        words=("Workflow instance with id 'waits' already exists", "Use another id, or get that instance"),
        python=lambda client: client.workflow("orders").create(id="waits"),
        rest=Ask("POST", "/workflows/orders/instances", json={"instance_id": "waits"}),
        cloudflare=Ask("POST", "/workflows/orders/instances", json={"instance_id": "waits"}),
        cli=run("trigger", "orders", "--id", "waits"),
    ),
    *map(_missing, ("unknown", "a b", "ä", "a\0b", "x" * 300, "0 7 * * *-1", "%", "?", "<b>", "a.b", "٣")),
    *map(_version, ("nope", "a\0b", "x" * 300, "ä", "0")),
    *map(_event, ("order.approved", "-a", "a b", "x" * 101, "ä", "a%b", "a\nb")),
]  # fmt: skip
"""Nothing of a name is ever shown cut: who reads the refusal must see what was given."""
