"""From a server's refusal (problem+json) to the error that the local client would have raised, with the same words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator import errors
from orchestrator.errors import (
    ActionNotAllowed,
    Forbidden,
    InstanceErrored,
    OrchestratorError,
    RequestRefused,
    ServerFailed,
    ServerUnavailable,
    Unauthorized,
)

_SHOWN = 200


def error_in(status: int, headers: Mapping[str, str], body: bytes, url: str) -> OrchestratorError:
    """The error that an answer of status 300 or more carries."""
    problem = object_in(body) or {}
    if isinstance(problem.get("code"), str) and isinstance(problem.get("detail"), str):
        return _error_of(status, headers, problem)
    if 300 <= status < 400:
        return ServerFailed(f"The server at {url} sends callers on to {headers.get('location')}: give that address.")
    if status == 401:
        return Unauthorized(f"The server at {url} wants a token, or knows of no such one.")
    if status == 403:
        return Forbidden(f"The server at {url} refuses the request.")
    if status in (502, 503, 504):
        return ServerUnavailable(f"What answers at {url} can't reach the server now (status {status}).")
    return stranger(status, body, url)


def stranger(status: int, body: bytes, url: str) -> ServerFailed:
    """For an answer that no server of ours would give."""
    text = " ".join(body.decode(errors="replace").split())[:_SHOWN]
    return ServerFailed(
        f"What answers at {url} is not the REST interface of an orchestrator: status {status}"
        f"{f', {text!r}' if text else ''}. Give the address of `orchestrator web` or `orchestrator dev`."
    )


def object_in(body: bytes) -> dict[str, Any] | None:
    """The JSON object of a body; None where there is none."""
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _error_of(status: int, headers: Mapping[str, str], problem: dict[str, Any]) -> OrchestratorError:
    code, detail = problem["code"], problem["detail"]
    kind = _CLASSES.get(code)
    if code == "request.too_large":
        return errors.PayloadTooLarge(detail)
    if kind is None:
        return RequestRefused(detail, code) if status < 500 else ServerFailed(f"{detail} (status {status}, {code})")
    error = kind.__new__(kind, detail)
    # Not the class's own initialiser, which would make a message of its own from arguments nobody sends.
    OrchestratorError.__init__(error, detail)
    if isinstance(error, ActionNotAllowed):
        error.action = problem.get("action", "")
        error.status = problem.get("instance_status", "")
        error.allowed = list(problem.get("allowed_actions", ()))
    elif isinstance(error, InstanceErrored):
        error.error = problem.get("error")
    if status == 429:
        vars(error)["retry_after_s"] = _number(headers.get("retry-after"))
    return error


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _classes(root: type[OrchestratorError]) -> Iterator[tuple[str, type[OrchestratorError]]]:
    yield root.code, root
    for child in root.__subclasses__():
        if child.__module__.startswith("orchestrator."):
            yield from _classes(child)


_CLASSES = dict(_classes(OrchestratorError))
