"""Bad values: params and payloads that do not fit, are no JSON, or are too large; and how long instances are kept."""

from __future__ import annotations

import json
from typing import Any

from tests.bad_input.cases import Bad
from tests.bad_input.doors import Ask, run
from tests.remote.workflows import Orders

_LARGE = "x" * (1024 * 1024)
_INSTANCES = "/workflows/echo/instances"
_EVENTS = "/workflows/orders/instances/waits/events/approval"


def _not_json(text: str) -> Bad:
    body = b'{"params": %s}' % text.encode("utf-8", "surrogateescape")
    return Bad(
        what=f"params that are no JSON: {text[:20]!r}",
        code="instance.invalid_params",
        words=("not valid JSON",),
        rest=Ask("POST", _INSTANCES, raw=body),
        cloudflare=Ask("POST", _INSTANCES, raw=body),
        cli=run("trigger", "echo", "-", stdin=text),
        http="request.malformed",
    )


def _not_json_payload(text: str) -> Bad:
    return Bad(
        what=f"a payload that is no JSON: {text[:20]!r}",
        code="instance.invalid_params",
        words=("not valid JSON",),
        rest=Ask("POST", _EVENTS, raw=text.encode()),
        cloudflare=Ask("POST", _EVENTS, raw=text.encode()),
        cli=run("instances", "send-event", "orders", "waits", "--type", "approval", "--payload", text),
        http="request.malformed",
    )


def _no_value(name: str, value: Any) -> Bad:
    return Bad(
        what=f"params that JSON has no word for: {name}",
        code="step.not_serializable",
        words=("The params of workflow 'echo' is not serialisable",),
        python=lambda client: client.workflow("echo").create(value),
    )


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def _unreadable(what: str, levels: int, *words: str) -> Bad:
    """What is stored must be read again, by whoever shows it."""
    value = _nested(levels)
    return Bad(
        what=f"a payload that is {what}",
        code="step.not_serializable",
        words=words,
        python=lambda client: client.workflow("orders").get("waits").send_event("approval", value),
        rest=Ask("POST", _EVENTS, json=value),
        cloudflare=Ask("POST", _EVENTS, json=value),
        cli=run("instances", "send-event", "orders", "waits", "--type", "approval", "--payload", json.dumps(value)),
    )


def _kept(retention: Any, *words: str, http: str | None = None) -> Bad:
    line = json.dumps({"retention": retention})
    return Bad(
        what=f"the retention {retention!r}",
        code="retention.invalid",
        words=words,
        python=lambda client: client.workflow("echo").create(retention=retention),
        rest=Ask("POST", _INSTANCES, json={"retention": retention}),
        cloudflare=Ask("POST", _INSTANCES, json={"instance_retention": retention}),
        cli=run("trigger", "echo", "--batch", "-", stdin=line),
        http=http,
    )


_CIRCLE: list[Any] = []
_CIRCLE.append(_CIRCLE)

CASES = [
    Bad(
        what="params that do not fit the workflow",
        code="instance.invalid_params",
        words=("do not fit workflow 'orders'", "items", "valid list"),
        python=lambda client: client.workflow(Orders).create({"items": 7}),
        rest=Ask("POST", "/workflows/orders/instances", json={"params": {"items": 7}}),
        cloudflare=Ask("POST", "/workflows/orders/instances", json={"params": {"items": 7}}),
    ),
    *(_no_value(name, value) for name, value in (
        ("a function", print), ("an object", {"a": object()}), ("NaN", float("nan")), ("infinity", [float("inf")]),
        ("a circle", _CIRCLE), ("half a character", "\ud800"),
    )),
    *map(_not_json, ("{", "{'a': 1}", "nothing", "NaN", "[Infinity]", "[1,]", '"a\nb"', "1 2")),
    *map(_not_json_payload, ("{", "{'a': 1}", "NaN", "01", "1 2")),
    _unreadable("too deep", 191, "nested more than 190 levels deep"),
    _unreadable("as deep as JSON goes", 197, "nested more than 190 levels deep"),
    Bad(
        what="params that hardly anything can read",
        code="step.not_serializable",
        words=("not serialisable",),
        python=lambda client: client.workflow("echo").create(_nested(300)),
    ),
    Bad(
        what="a number that is too long to be read",
        code="step.not_serializable",
        words=("not serialisable", "a number that is too long"),
        python=lambda client: client.workflow("echo").create(10**5000),
    ),
    _not_json("7" * 5000),
    Bad(
        what="params that are too large",
        code="payload.too_large",
        words=("The params of workflow 'echo' is too large", "1,048,578 bytes", "limit is 1,048,576", "pass a reference"),
        python=lambda client: client.workflow("echo").create(_LARGE),
        rest=Ask("POST", _INSTANCES, json={"params": _LARGE}),
        cloudflare=Ask("POST", _INSTANCES, json={"params": json.dumps(_LARGE)}),
        cli=run("trigger", "echo", "-", stdin=json.dumps(_LARGE)),
    ),
    Bad(
        what="params that are too large by their bytes, not their characters",
        code="payload.too_large",
        words=("1,200,002 bytes",),
        python=lambda client: client.workflow("echo").create("ä" * 600_000),
        rest=Ask("POST", _INSTANCES, json={"params": "ä" * 600_000}),
        cloudflare=Ask("POST", _INSTANCES, json={"params": json.dumps("ä" * 600_000, ensure_ascii=False)}),
        cli=run("trigger", "echo", "-", stdin=json.dumps("ä" * 600_000)),
    ),
    Bad(
        what="an event that is too large",
        code="payload.too_large",
        words=("The payload of event 'approval' is too large", "1,048,578 bytes", "limit is 1,048,576"),
        python=lambda client: client.workflow("orders").get("waits").send_event("approval", _LARGE),
        rest=Ask("POST", _EVENTS, json=_LARGE),
        cloudflare=Ask("POST", _EVENTS, json=_LARGE),
        cli=run("instances", "send-event", "orders", "waits", "--type", "approval", "--payload", "-",
                stdin=json.dumps(_LARGE)),
    ),
    Bad(
        what="a request that is too large",
        code="request.too_large",
        words=("larger than the limit of 4,194,304 bytes",),
        rest=Ask("POST", _INSTANCES, raw=b'"' + b"x" * 4_194_304 + b'"'),
        cloudflare=Ask("POST", _INSTANCES, raw=b'"' + b"x" * 4_194_304 + b'"'),
    ),
    Bad(
        what="params that are said to be JSON text and are none",
        code="request.malformed",
        words=("The JSON text in `params`", "not valid JSON"),
        cloudflare=Ask("POST", _INSTANCES, json={"params": "{"}),
    ),
    _kept({"success": "7 days"}, "retention has no success", "success_retention and error_retention"),
    _kept({"success_retention": 0}, "0", "longer than nothing", "'forever'"),
    _kept({"error_retention": -1}, "-1", "not negative", '"30 seconds"', "'forever'"),
    _kept({"error_retention": "5 apples"}, "'5 apples'", "unknown unit 'apples'", '"3 days"'),
    _kept({"error_retention": "soon"}, "'soon'", "can't read", '"3 days"'),
    _kept({"error_retention": True}, "True", "truth value"),
    _kept({"error_retention": ["1 day"]}, "['1 day']", "list is no duration"),
    _kept({"error_retention": "10001 years"}, "10001 years", "10,000 years"),
    _kept("7 days", "7 days", http="request.invalid"),
    _kept([1], "[1]", http="request.invalid"),
    Bad(
        what="a place that there is not",
        code="request.invalid",
        words=("location_hint", "'wnam'", "'apac-se'", "mars"),
        cloudflare=Ask("POST", _INSTANCES, json={"location_hint": "mars"}),
    ),
]  # fmt: skip
