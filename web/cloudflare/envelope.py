"""Cloudflare's envelope around every answer, and its numbers for errors; what is inside comes from elsewhere."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import jsonify
from werkzeug.wrappers import Response

NUMBERS = {
    "internal": 10001,
    "auth.unauthorized": 10000,
    "auth.forbidden": 10000,
    "workflow.not_found": 10200,
    "instance.not_found": 10400,
    "instance.already_exists": 10405,
    "instance.duplicate_in_batch": 10415,
}
"""The numbers that Cloudflare has shown to the world. All others are ours: 19000 and the HTTP status."""


def ok(result: Any, info: dict[str, Any] | None = None) -> Response:
    envelope = {"success": True, "errors": [], "messages": [], "result": result}
    return jsonify(envelope if info is None else envelope | {"result_info": info})


def refusal(status: int, code: str, sentence: str, members: dict[str, Any] | None = None) -> Response:
    """Cloudflare's number and word for it as the error; what a person needs to know as a message beside it."""
    error = {"code": number(code, status), "message": word(code)} | (members or {})
    envelope = {"success": False, "errors": [error], "messages": [{"code": 0, "message": sentence}], "result": None}
    response = jsonify(envelope)
    response.status_code = status
    return response


def number(code: str, status: int) -> int:
    if code not in NUMBERS and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return NUMBERS["internal"]
    return NUMBERS.get(code, 19000 + status)


def word(code: str) -> str:
    return f"workflows.api.error.{'internal_server' if code == 'internal' else code}"
