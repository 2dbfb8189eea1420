"""From an error to its HTTP answer: problem+json (RFC 9457) or Cloudflare's envelope for programs, a page for people."""

from __future__ import annotations

import logging
import math
from http import HTTPStatus
from typing import Any

from flask import Flask, current_app, g, jsonify, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from orchestrator.errors import ActionNotAllowed, InstanceErrored, OrchestratorError
from web import cloudflare
from web.refusals import InvalidRequest
from web.security import request_id

logger = logging.getLogger(__name__)

STATUS_BY_CODE = {
    # What the caller can mend.
    "usage": 400,
    "request.malformed": 400,
    "request.refused": 400,
    "auth.unauthorized": 401,
    "auth.forbidden": 403,
    "auth.too_many_failures": 429,
    "token.not_found": 404,
    "request.cross_site": 403,
    "request.remote": 403,
    "workflow.not_found": 404,
    "instance.not_found": 404,
    "instance.run_not_found": 404,
    "instance.step_output_corrupt": 410,
    "step.not_found": 404,
    "instance.already_exists": 409,
    "instance.rate_limited": 429,
    "instance.cannot_restart": 409,
    "instance.not_allowed": 409,
    "instance.errored": 409,
    "instance.terminated": 409,
    "payload.too_large": 413,
    "request.unsupported_media_type": 415,
    "request.invalid": 422,
    "subscription.invalid": 422,
    "message.invalid": 422,
    "aggregates.invalid": 422,
    "version.not_found": 404,
    "subscription.too_many": 503,
    "instance.invalid_id": 422,
    "instance.invalid_params": 422,
    "invalid_duration": 422,
    "retention.invalid": 422,
    "schedule.invalid": 422,
    "schedule.not_found": 404,
    "batch.invalid": 422,
    "workflow.invalid_name": 422,
    "workflow.invalid_event_type": 422,
    "workflow.invalid_settings": 422,
    # What the workflow's author can mend; a request meets these only by way of a result.
    "non_retryable": 500,
    "fatal": 500,
    "rollback.missing": 500,
    "rollback.terminated": 500,
    "step.error": 500,
    "step.invalid_name": 500,
    "step.invalid_config": 500,
    "step.invalid_delay": 500,
    "step.invalid_stream": 500,
    "step.oversized_chunk": 500,
    "step.unsupported_chunk": 500,
    "instance.storage_limit": 500,
    "internal": 500,
    "attempt.stream_over": 500,
    "step.limit": 500,
    "step.not_serializable": 500,
    "workflow.replay_mismatch": 500,
    "event.invalid_payload": 500,
    "workflow.not_allowed_in_run": 500,
    "attempt.worker_lost": 500,
    "worker.lease_over": 503,
    # What the operator can mend.
    "orchestrator": 500,
    "setup": 500,
    "settings": 500,
    "application.import": 500,
    "application.duplicate_workflow": 500,
    "web.address": 500,
    "web.remote_bind": 500,
    "web.server_not_installed": 500,
    "remote.not_installed": 500,
    "server.failed": 502,
    "server.unavailable": 503,
    "broker.unavailable": 503,
    "database.unavailable": 503,
    "database.behind": 503,
    "database.ahead": 503,
    # What takes longer than the caller wanted to wait.
    "instance.result_timeout": 504,
    "timeout": 504,
    "timeout.step": 504,
    "timeout.event": 504,
}
RETRY_AFTER_S = 5


def status_of(error: OrchestratorError) -> int:
    """The status of the error's code, else of the nearest ancestor's (a subclass from outside the project)."""
    codes = (getattr(cls, "code", None) for cls in type(error).__mro__)
    return next((STATUS_BY_CODE[code] for code in codes if code in STATUS_BY_CODE), 500)


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
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        wait_s = getattr(error, "retry_after_s", None)
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
        members |= {"action": error.action, "instance_status": error.status, "allowed_actions": error.allowed}
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
