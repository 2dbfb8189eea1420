"""Who calls, what they may do, and the log of what they did; every request passes here before its view sees it."""

from __future__ import annotations

import base64
import binascii
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, Response, current_app, g, request

from orchestrator.client import TokenView
from orchestrator.clock import monotonic
from orchestrator.errors import Forbidden, OrchestratorError, TooManyFailures, Unauthorized
from web.permits import caller, role_needed
from web.repeats import REPLAYED
from web.security import SAFE_METHODS, request_id
from web.services import client, services

logger = logging.getLogger(__name__)

OPEN = frozenset({"static", "health.healthz", "health.readyz", "api.openapi"})
FAILURES, WITHIN_S = 20, 60.0
_ADDRESSES = 10_000

View = TypeVar("View", bound=Callable[..., Any])


def needs(role: str) -> Callable[[View], View]:
    """Marks a view; `web.permits` knows what holds without it."""

    def mark(view: View) -> View:
        view.role = role  # type: ignore[attr-defined]
        return view

    return mark


def filtered(view: View) -> View:
    """Marks a view that shows a list over all workflows by way of `web.seen`, which leaves out what is not for a token."""
    view.filtered = True  # type: ignore[attr-defined]
    return view


def guard(app: Flask) -> None:
    failures = Failures()

    def check() -> None:
        if services().settings.who == "tokens" and request.endpoint not in OPEN:
            g.token = _caller(failures)
            _allow(g.token)

    app.before_request(check)
    app.after_request(_record)


class Failures:
    """The addresses from which wrong tokens came of late; a process keeps its own."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def refuse(self, address: str) -> None:
        with self._lock:
            times = self._seen.get(address)
            if times is not None and len(times) == FAILURES and monotonic() - times[0] < WITHIN_S:
                raise TooManyFailures

    def add(self, address: str) -> None:
        with self._lock:
            if len(self._seen) >= _ADDRESSES:
                self._seen.clear()
            self._seen.setdefault(address, deque(maxlen=FAILURES)).append(monotonic())


def _caller(failures: Failures) -> TokenView:
    address = request.remote_addr or ""
    failures.refuse(address)
    try:
        return client().access.check_token(_secret())
    except Unauthorized:
        # Nothing given is how browsers begin; it guesses at nothing.
        if "Authorization" in request.headers:
            failures.add(address)
        raise


def _secret() -> str:
    """`Bearer <token>`, as programs send it, or `Basic`, as browsers do, with the token as the password."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return given.strip() if scheme.lower() == "bearer" else ""
    try:
        return base64.b64decode(given, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _allow(token: TokenView) -> None:
    """Raises Forbidden."""
    role = role_needed(request.endpoint, request.method)
    if not token.may(role):
        raise Forbidden(f"Token {token.name!r} has the role {token.role}, and this needs {role}.")
    workflow = (request.view_args or {}).get("workflow")
    view = current_app.view_functions.get(request.endpoint or "")
    if request.endpoint is not None and not token.reaches(workflow) and not getattr(view, "filtered", False):
        what = "all workflows" if workflow is None else f"workflow {workflow!r}"
        raise Forbidden(f"Token {token.name!r} is for {', '.join(token.workflows)}, and this is about {what}.")


def _record(response: Response) -> Response:
    """After the answer is known: what came of it is part of the log. A log that can't be written stops nobody."""
    if request.method in SAFE_METHODS or request.endpoint is None or request.endpoint in OPEN:
        return response
    token = caller()
    if token is None and services().settings.who == "tokens":
        return response  # nobody we know, and nothing was done: others must not be able to fill the log
    actor = f"token {token.id} ({token.name})" if token is not None else f"address {request.remote_addr or 'local'}"
    result = f"{response.status_code} replayed" if REPLAYED in response.headers else str(response.status_code)
    action = f"{request.method} {request.endpoint.rpartition('.')[2]}"
    try:
        client().access.record(actor, action, request.path, result, request_id())
    except OrchestratorError:
        logger.exception("%s by %s could not be written into the log of changes", action, actor)
    return response
