"""Bad batches: of instances to make and to delete; and which of a workflow's instances are to end."""

from __future__ import annotations

import json
from typing import Any

from tests.bad_input.cases import Bad
from tests.bad_input.doors import Ask, run

_BATCH = "/workflows/echo/instances/batch"
_ALL = "/workflows/orders/instances/terminate"


def _lines(instances: list[Any]) -> str:
    return "\n".join(map(json.dumps, instances))


def _count(count: Any, *words: str, http: str | None = None) -> Bad:
    return Bad(
        what=f"a batch of {count!r}",
        code="batch.invalid",
        words=(json.dumps(count) if http is None else "", *words),
        python=lambda client: client.workflow("echo").create_batch(count=count),
        rest=Ask("POST", _BATCH, json={"count": count}),
        cloudflare=Ask("POST", _BATCH, json={"count": count}),
        http=http,
    )


def _doomed(ids: Any, code: str, *words: str, command: str | None = None) -> Bad:
    shown = f"{len(ids)}" if isinstance(ids, list) and len(ids) > 3 else repr(ids)
    return Bad(
        what=f"deleting {shown} at once",
        code=code,
        words=words,
        python=lambda client: client.workflow("orders").delete_batch(ids),
        rest=Ask("POST", "/workflows/orders/instances/batch/delete", json={"instances": ids}),
        cloudflare=Ask("POST", "/workflows/orders/instances/batch/delete", json={"instances": ids}),
        cli=run("instances", "delete", "orders", "--yes", "--filename", "-", stdin=json.dumps(ids)),
        command=command,
    )


def _each(what: str, instances: list[Any], code: str, *words: str, http: str | None = None, **more: Any) -> Bad:
    spelled = [
        {"instance_id" if name == "id" else name: value for name, value in one.items()}
        if isinstance(one, dict)
        else one
        for one in instances
    ]
    theirs = [_as_theirs(one) if isinstance(one, dict) else one for one in spelled]
    return Bad(
        what=f"a batch with {what}",
        code=code,
        words=words,
        python=lambda client: client.workflow("echo").create_batch(instances),
        rest=Ask("POST", _BATCH, json={"instances": spelled}),
        cloudflare=Ask("POST", _BATCH, json={"instances": theirs}),
        http=http,
        **more,
    )


def _as_theirs(one: dict[str, Any]) -> dict[str, Any]:
    """Their SDKs send params as JSON text."""
    renamed = {"instance_retention" if name == "retention" else name: value for name, value in one.items()}
    return renamed | ({"params": json.dumps(one["params"])} if "params" in one else {})


def _statuses(*given: str, code: str = "usage", http: str | None = None) -> Bad:
    return Bad(
        what=f"terminating all that are {given}",
        code=code,
        words=(given[-1], "queued", "running", "paused", "waiting", "waitingForPause"),
        python=lambda client: client.workflow("orders").terminate_all(list(given)),
        rest=Ask("PUT", _ALL, query={"status": ",".join(given)}),
        cloudflare=Ask("PUT", _ALL, query={"status": given[-1]}),
        cli=run(
            "instances", "terminate-all", "orders", "--yes", *(part for one in given for part in ("--status", one))
        ),
        http=http,
    )


_UNKNOWN = {"id": "fresh", "colour": "red"}
CASES = [
    _count(0, "positive integer"),
    _count(-1, "positive integer"),
    _count(101, "at most 100 instances"),
    _count(1.5, "integer", http="request.invalid"),
    _count(True, "integer", http="request.invalid"),
    _count("3", "integer", http="request.invalid"),
    Bad(
        what="a batch that is neither a list nor a count",
        code="batch.invalid",
        words=("either `instances`", "`count`"),
        python=lambda client: client.workflow("echo").create_batch(),
        rest=Ask("POST", _BATCH, json={}),
        cloudflare=Ask("POST", _BATCH, json={}),
    ),
    Bad(
        what="a batch that is both a list and a count",
        code="batch.invalid",
        words=("either `instances`", "`count`", "not both"),
        python=lambda client: client.workflow("echo").create_batch([{}], count=1),
        rest=Ask("POST", _BATCH, json={"instances": [{}], "count": 1}),
        cloudflare=Ask("POST", _BATCH, json={"instances": [{}], "count": 1}),
    ),
    Bad(
        what="a batch without instances",
        code="batch.invalid",
        words=("instances",),
        python=lambda client: client.workflow("echo").create_batch([]),
        rest=Ask("POST", _BATCH, json={"instances": []}),
        cloudflare=Ask("POST", _BATCH, json=[]),
        cli=run("trigger", "echo", "--batch", "-", stdin="[]"),
        command="usage",
    ),
    _each("101 instances", [{}] * 101, "batch.invalid", "1 to 100 instances", "not 101"),
    _each("an instance that is a number", [{}, 7], "batch.invalid", "7", http="request.invalid",
          cli=run("trigger", "echo", "--batch", "-", stdin=_lines([{}, 7])), command="batch.invalid"),
    _each("a field that there is not", [_UNKNOWN], "batch.invalid", "colour", "params", http="request.invalid",
          cli=run("trigger", "echo", "--batch", "-", stdin=_lines([_UNKNOWN])), command="batch.invalid"),
    _each("an id that is not allowed", [{"id": "fresh"}, {"id": "a b"}], "instance.invalid_id", "'a b'", "1 to 100",
          cli=run("trigger", "echo", "--batch", "-", stdin=_lines([{"id": "fresh"}, {"id": "a b"}]))),
    _each("an id that is reserved", [{"id": "fresh"}, {"id": "batch"}], "instance.invalid_id", "'batch'", "reserved",
          cli=run("trigger", "echo", "--batch", "-", stdin=_lines([{"id": "fresh"}, {"id": "batch"}]))),
    _each("a retention that is none", [{"retention": {"error_retention": "soon"}}], "retention.invalid", "'soon'",
          "3 days", cli=run("trigger", "echo", "--batch", "-",
                            stdin=_lines([{"retention": {"error_retention": "soon"}}]))),
    _each("params that are too large together", [{"params": "x" * 600_000}, {"params": "y" * 600_000}],
          "payload.too_large", "1,200,004 bytes", "all its instances", "1,048,576",
          cli=run("trigger", "echo", "--batch", "-",
                  stdin=_lines([{"params": "x" * 600_000}, {"params": "y" * 600_000}]))),
    Bad(
        what="a batch that is a number",
        code="batch.invalid",
        words=("must be",),
        python=lambda client: client.workflow("echo").create_batch(7),
        rest=Ask("POST", _BATCH, json=7),
        cloudflare=Ask("POST", _BATCH, json=7),
        http="request.invalid",
    ),
    _doomed([], "batch.invalid", "instance", command="usage"),
    _doomed([f"i{n}" for n in range(101)], "batch.invalid", "1 to 100 instances", "not 101"),
    Bad(what="deleting nobody says which", code="request.invalid", words=("instances", "required"),
        rest=Ask("POST", "/workflows/orders/instances/batch/delete", json={})),
    _doomed(["waits", "no/such!id"], "instance.invalid_id", "'no/such!id'", "letters, digits", "271"),
    _doomed(["waits", "x" * 272], "instance.invalid_id", "xxx", "letters, digits", "271"),
    _statuses("complete"),
    _statuses("queued", "errored"),
    _statuses("done"),
]  # fmt: skip
