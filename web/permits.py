"""What the caller may do, for the door and for whatever shows buttons or `allowed_actions`: one rule; it refuses nobody."""

from __future__ import annotations

from collections.abc import Iterable

from flask import current_app, g

from orchestrator.client import TokenView
from web.security import SAFE_METHODS

_CHANGED_BY = {"send_event": "api.send_event", "delete": "api.delete_instance"}
"""The route that carries out an action; the others are changes of status."""


def caller() -> TokenView | None:
    """Who asks; None where no tokens are asked for, and everybody may do everything."""
    token: TokenView | None = g.get("token")
    return token


def role_needed(endpoint: str | None, method: str) -> str:
    """As the view is marked. Without a mark, looking needs `read` and all else `operate`."""
    view = current_app.view_functions.get(endpoint or "")
    role: str = getattr(view, "role", "read" if method in SAFE_METHODS else "operate")
    return role


def may(endpoint: str, method: str = "POST") -> bool:
    """Whether the caller's role is enough for this route."""
    token = caller()
    return token is None or token.may(role_needed(endpoint, method))


def for_caller(actions: Iterable[str]) -> list[str]:
    """Of what the state of an instance allows, what the caller may do as well."""
    return [action for action in actions if may(_CHANGED_BY.get(action, "api.change_status"))]
