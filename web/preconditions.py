"""If-Match: what a request says that it has seen of the thing it changes; it compares nothing itself."""

from __future__ import annotations

from flask import request

from orchestrator.client.unchanged import Matches


def seen() -> Matches | None:
    """None where the request says nothing, or takes whatever is there (`*`)."""
    if "If-Match" not in request.headers or request.if_match.star_tag:
        return None
    return request.if_match.contains
