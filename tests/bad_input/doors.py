"""The ways in, each with one way of asking and one shape of what it refuses; they know no rules."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from orchestrator.cli import root
from orchestrator.errors import OrchestratorError

REST = "/api/v1"
CLOUDFLARE = "/client/v4/accounts/any"


@dataclass(frozen=True)
class Refusal:
    code: str
    text: str
    """What a person reads."""
    number: int | None = None
    """The HTTP status, or the exit code of a command; Python has neither."""
    members: Mapping[str, Any] = field(default_factory=dict)
    """What a program reads beside the code."""


@dataclass(frozen=True)
class Ask:
    """An HTTP request; the path is below the interface's root."""

    method: str
    path: str
    json: Any = None
    raw: bytes | None = None
    query: Mapping[str, Any] | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def send(self, http: FlaskClient, root_path: str) -> Any:
        how: dict[str, Any] = {"headers": dict(self.headers)}
        if self.query is not None:
            how["query_string"] = self.query
        if self.raw is not None:
            how["data"] = self.raw
            how["headers"] = {"Content-Type": "application/json", **self.headers}
        elif self.json is not None:
            how["json"] = self.json
        return http.open(f"{root_path}{self.path}", method=self.method, **how)


@dataclass(frozen=True)
class Run:
    """A command, and what it reads from stdin."""

    arguments: Sequence[str]
    stdin: str | None = None


def run(*arguments: str, stdin: str | None = None) -> Run:
    return Run(arguments, stdin)


def of_python(ask: Callable[[Any], Any], client: Any) -> Refusal:
    with pytest.raises(OrchestratorError) as refused:
        ask(client)
    members = {name: value for name, value in vars(refused.value).items() if not name.startswith("_")}
    return Refusal(refused.value.code, refused.value.message, None, members)


def of_rest(ask: Ask, http: FlaskClient) -> Refusal:
    answer = ask.send(http, REST)
    assert answer.mimetype == "application/problem+json", (answer.status_code, answer.text[:300])
    problem = answer.get_json()
    assert problem["status"] == answer.status_code
    return Refusal(problem["code"], problem["detail"], answer.status_code, problem)


def of_cloudflare(ask: Ask, http: FlaskClient) -> tuple[Refusal, int]:
    """With Cloudflare's number of the error."""
    answer = ask.send(http, CLOUDFLARE)
    envelope = answer.get_json()
    assert envelope is not None, (answer.status_code, answer.text[:300])
    assert (envelope["success"], envelope["result"]) == (False, None)
    error = envelope["errors"][0]
    code = error["message"].removeprefix("workflows.api.error.")
    return Refusal(code, envelope["messages"][0]["message"], answer.status_code, error), error["code"]


def _with_json(arguments: Sequence[str]) -> list[str]:
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return [*arguments[:at], "--json", *arguments[at:]]


def of_command(asked: Run, environment: Mapping[str, str], client: Callable[[], Any] | None) -> Refusal:
    result = CliRunner().invoke(
        root, _with_json(asked.arguments), input=asked.stdin, env=dict(environment), obj=client, catch_exceptions=False
    )
    assert result.stdout == ""
    told = json.loads(result.stderr)
    assert told["exit_code"] == result.exit_code
    assert told["error"]["next"], "what to do is part of every refusal"
    text = "\n".join([told["error"]["message"], *told["error"]["notes"]])
    return Refusal(told["error"]["code"], text, result.exit_code, told["error"])
