"""The OpenAPI document of /api/v1, made of its routes, their contracts and pydantic's schemas; it is written nowhere."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from http import HTTPStatus
from typing import Any

from flask import Flask
from pydantic import BaseModel
from werkzeug.routing import Rule

from orchestrator.conditions import AnswerLost, KeyReused, PreconditionFailed, RequestInProgress
from orchestrator.errors import (
    Forbidden,
    InvalidInstanceId,
    InvalidWorkflowName,
    OrchestratorError,
    TooManyFailures,
    Unauthorized,
    WorkflowNotFound,
)
from orchestrator.names import MAX_ADDRESS, MAX_EVENT_TYPE, MAX_WORKFLOW_NAME, NAME, SCHEDULED
from web.contract import Contract, contract_of
from web.refusals import InvalidRequest, MalformedRequest, UnsupportedMediaType
from web.repeats import HEADER, MAX_KEY, REPLAYED
from web.schemas import REF, of_answer, of_body, of_query
from web.security import SAFE_METHODS
from web.statuses import status_of

PREFIX = "/api/v1"
OPEN = frozenset({"api.openapi"})
PROBLEM = "application/problem+json"
EVENT_STREAM = "text/event-stream"


class Problem(BaseModel):
    """What every error is answered with (RFC 9457); some errors have more members, such as `errors`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str


_NAMED = {"type": "string", "pattern": f"^{NAME}$", "minLength": 1}
PATH = {
    "workflow": _NAMED | {"maxLength": MAX_WORKFLOW_NAME},
    "instance_id": {"type": "string", "pattern": f"^(?:{NAME}|{SCHEDULED})$", "minLength": 1, "maxLength": MAX_ADDRESS},
    "event_type": _NAMED | {"maxLength": MAX_EVENT_TYPE},
    "message_id": {"type": "integer", "minimum": 0},
}
IDEMPOTENCY_KEY = {
    "name": HEADER,
    "in": "header",
    "description": "Sent again with the same key, the request is not carried out again and gets the first answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[!-~]+$"},
}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": "The ETag of what was seen, in quotes: nothing is changed if it has another by now.",
    "schema": {"type": "string"},
}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The ETag of what was seen, in quotes: 304 if it still has that.",
    "schema": {"type": "string"},
}
ETAG = {"description": "Another one for each difference that can be seen.", "schema": {"type": "string"}}
ALWAYS = (Unauthorized, Forbidden, TooManyFailures, InvalidRequest)
WITH_BODY = (MalformedRequest, UnsupportedMediaType)
WITH_KEY = (RequestInProgress, AnswerLost, KeyReused)
WITH_WORKFLOW = (WorkflowNotFound, InvalidWorkflowName)


def document(app: Flask) -> dict[str, Any]:
    """Of the routes of this app's REST interface."""
    schemas: dict[str, Any] = {}
    of_answer(Problem, schemas)
    paths: dict[str, Any] = defaultdict(dict)
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        view = app.view_functions[rule.endpoint]
        contract = contract_of(view)
        if not rule.endpoint.startswith("api.") or contract is None:
            continue
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule.removeprefix(PREFIX))
        for method in sorted(rule.methods or ()):
            if method not in ("HEAD", "OPTIONS"):
                paths[path][method.lower()] = _operation(rule, view, contract, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Orchestrator",
            "version": "1",
            "description": "Durable workflows: what runs, what has run, and what may be done about it.",
        },
        "servers": [{"url": PREFIX}],
        "security": [{"bearer": []}, {"basic": []}],
        "paths": dict(paths),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An access token. A server on its own machine may ask for none.",
                },
                "basic": {"type": "http", "scheme": "basic", "description": "An access token as the password."},
            },
        },
    }


def _operation(rule: Rule, view: Any, contract: Contract, schemas: dict[str, Any]) -> dict[str, Any]:
    name = rule.endpoint.rpartition(".")[2]
    told = inspect.getdoc(view)
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": name.replace("_", " ").capitalize() + ".",
        **({"description": told} if told else {}),
        "tags": [view.__module__.rpartition(".")[2]],
    }
    if rule.endpoint in OPEN:
        operation["security"] = []
    parameters = [
        {"name": part, "in": "path", "required": True, "schema": PATH.get(part, {"type": "string", "minLength": 1})}
        for part in re.findall(r"<(?:\w+:)?(\w+)>", rule.rule)
    ]
    if contract.query is not None:
        parameters += of_query(contract.query, schemas)
    if _takes_key(rule, contract):
        parameters.append(IDEMPOTENCY_KEY)
    if PreconditionFailed in contract.refuses:
        parameters.append(IF_MATCH)
    if contract.conditional:
        parameters.append(IF_NONE_MATCH)
    if parameters:
        operation["parameters"] = parameters
    if contract.body is not None:
        fields = getattr(contract.body, "model_fields", {}).values()
        schema = of_body(contract.body, schemas)
        needed = any(field.is_required() for field in fields)
        if fields and not needed:  # then null is as good as nothing
            schema = {"anyOf": [schema, {"type": "null"}]}
        operation["requestBody"] = {
            "required": needed,
            "content": {"application/json": {"schema": schema}},
        }
    operation["responses"] = _responses(rule, contract, schemas)
    return operation


def _responses(rule: Rule, contract: Contract, schemas: dict[str, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": HTTPStatus(contract.status).phrase}
    follows = EVENT_STREAM in contract.media
    if follows:
        good["content"] = {EVENT_STREAM: {"schema": of_body(contract.answer, schemas)}}
    elif contract.answer is not None:
        good["content"] = {"application/json": {"schema": of_answer(contract.answer, schemas)}}
        good["content"] |= {media: {} for media in contract.media}
    if contract.location:
        good["headers"] = {"Location": {"required": True, "schema": {"type": "string"}}}
    if _takes_key(rule, contract):
        replayed = {"description": "`true` if it was answered before.", "schema": {"const": "true"}}
        good["headers"] = good.get("headers", {}) | {REPLAYED: replayed}
    responses = {str(contract.status): good}
    if contract.conditional:
        good["headers"] = good.get("headers", {}) | {"ETag": ETAG}
        responses["304"] = {"description": "It still has the ETag of `If-None-Match`.", "headers": {"ETag": ETAG}}
    if follows:
        responses["204"] = {"description": "It has ended, and there is nothing more to tell."}
    refusals: dict[int, set[str]] = defaultdict(set)
    for error in _errors(rule, contract):
        refusals[_status(error)].add(error.code)
    if contract.body is not None:
        refusals[413].add("request.too_large")
    problem = {"content": {PROBLEM: {"schema": {"$ref": REF.format(model="Problem")}}}}
    for status, codes in sorted(refusals.items()):
        responses[str(status)] = {"description": " or ".join(f"`{code}`" for code in sorted(codes)), **problem}
    return responses | {"default": {"description": "Any other error", **problem}}


def _errors(rule: Rule, contract: Contract) -> list[type[OrchestratorError]]:
    errors: list[type[OrchestratorError]] = [*contract.refuses]
    if rule.endpoint not in OPEN:
        errors += ALWAYS
    if contract.body is not None:
        errors += WITH_BODY
    if _takes_key(rule, contract):
        errors += WITH_KEY
    if "workflow" in rule.arguments:
        errors += WITH_WORKFLOW
    if "instance_id" in rule.arguments:
        errors.append(InvalidInstanceId)
    return errors


def _takes_key(rule: Rule, contract: Contract) -> bool:
    return not contract.secret and not (rule.methods or set()) <= SAFE_METHODS


def _status(error: type[OrchestratorError]) -> int:
    return status_of(error.__new__(error))
