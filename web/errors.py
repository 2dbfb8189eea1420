"""From an error to its HTTP answer: problem+json (RFC 9457) or Cloudflare's envelope for programs, a page for people."""

from __future__ import annotations

import logging
import math
from http import HTTPStatus
from typing import Any

from flask import Flask, current_app, g, jsonify, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from orchestrator.conditions import PreconditionFailed
from orchestrator.errors import ActionNotAllowed, InstanceErrored, OrchestratorError
from web import cloudflare
from web.permits import for_caller
from web.refusals import InvalidRequest
from web.security import request_id
from web.statuses import status_of

logger = logging.getLogger(__name__)

RETRY_AFTER_S = 5


def handle(app: Flask) -> None:
    app.register_error_handler(OrchestratorError, _known)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unknown)


def _known(error: OrchestratorError) -> Response:
    status = status_of(error)
    if status >= 500:
        logger.error("%s %s failed (%s): %s", request.method, request.path, request_id(), error)
    response = _answer(status, error.code, error.message, _members(error))
    if status == HTTPStatus.UNAUTHORIZED:
        # Browsers ask for a password, which is the token; programs know what to do.
        response.headers["WWW-Authenticate"] = 'Basic realm="orchestrator"' if not _for_programs() else "Bearer"
    if isinstance(error, PreconditionFailed):
        response.headers["ETag"] = f'"{error.etag}"'
    wait_s = getattr(error, "retry_after_s", None)
    if wait_s is not None or status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        response.headers["Retry-After"] = str(RETRY_AFTER_S if wait_s is None else max(math.ceil(wait_s), 1))
    return response


def _http(error: HTTPException) -> Response:
    if error.code is None or error.code < 400:  # a redirect is no error
        return error.get_response()
    if error.code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        detail = f"The request body is larger than the limit of {current_app.config['MAX_CONTENT_LENGTH']:,} bytes."
        return _answer(error.code, "request.too_large", detail)
    code = f"request.{HTTPStatus(error.code).name.lower()}"
    response = _answer(error.code, code, error.description or HTTPStatus(error.code).phrase)
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _unknown(error: Exception) -> Response:
    logger.error("%s %s failed (%s)", request.method, request.path, request_id(), exc_info=error)
    detail = f"Something went wrong on the server. Its log tells more under the id {request_id()}."
    return _answer(500, "internal", detail)


def _members(error: OrchestratorError) -> dict[str, Any]:
    """What a program needs to go on without reading the sentence."""
    members: dict[str, Any] = {}
    place = request.view_args or {}
    if error.code.startswith(("instance.", "workflow.")):
        members["workflow"] = place.get("workflow")
        members["instance_id"] = g.get("instance_id") or place.get("instance_id")
    if isinstance(error, ActionNotAllowed):
        members |= {
            "action": error.action,
            "instance_status": error.status,
            "allowed_actions": for_caller(error.allowed),
        }
    if isinstance(error, InvalidRequest):
        members["errors"] = [problem.to_dict() for problem in error.problems]
    if isinstance(error, InstanceErrored):
        members["error"] = error.error
    return {name: value for name, value in members.items() if value is not None}


def _answer(status: int, code: str, detail: str, members: dict[str, Any] | None = None) -> Response:
    title = HTTPStatus(status).phrase
    if cloudflare.speaks_here(request.path):
        return cloudflare.refusal(status, code, detail, members)
    if not _for_programs():
        page = render_template(
            "errors/problem.html", status=status, title=title, detail=detail, code=code, request_id=request_id()
        )
        return current_app.make_response((page, status))
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    response = jsonify(problem | {"request_id": request_id()} | (members or {}))
    response.status_code = status
    response.mimetype = "application/problem+json"
    return response


def _for_programs() -> bool:
    return request.path.startswith("/api/") or request.path in ("/healthz", "/readyz")
