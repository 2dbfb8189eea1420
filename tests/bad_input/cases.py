"""What one bad input is: how to give it through each way in, and what must be said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.bad_input.doors import Ask, Run

KINDS: dict[str, tuple[int, int, int]] = {
    # code: HTTP status, exit code, Cloudflare's number
    "usage": (400, 2, 19400),
    "request.malformed": (400, 2, 19400),
    "request.bad_request": (400, 2, 19400),
    "workflow.not_found": (404, 3, 10200),
    "workflow.invalid_name": (422, 2, 19422),
    "workflow.invalid_event_type": (422, 2, 19422),
    "workflow.invalid_settings": (422, 2, 19422),
    "instance.not_found": (404, 3, 10400),
    "instance.already_exists": (409, 4, 10405),
    "instance.invalid_id": (422, 2, 19422),
    "instance.invalid_params": (422, 2, 19422),
    "instance.not_allowed": (409, 4, 19409),
    "instance.cannot_restart": (409, 4, 19409),
    "instance.run_not_found": (404, 3, 19404),
    "instance.rate_limited": (429, 4, 19429),
    "step.not_found": (404, 3, 19404),
    "step.not_serializable": (422, 2, 19422),
    "batch.invalid": (422, 2, 19422),
    "retention.invalid": (422, 2, 19422),
    "schedule.invalid": (422, 2, 19422),
    "schedule.already_exists": (409, 4, 19409),
    "schedule.declared": (409, 4, 19409),
    "schedule.not_found": (404, 3, 19404),
    "subscription.invalid": (422, 2, 19422),
    "aggregates.invalid": (422, 2, 19422),
    "version.not_found": (404, 3, 19404),
    "token.not_found": (404, 3, 19404),
    "invalid_duration": (422, 2, 19422),
    "payload.too_large": (413, 2, 19413),
    "request.too_large": (413, 2, 19413),
    "request.invalid": (422, 2, 19422),
    "request.unsupported_media_type": (415, 2, 19415),
    "request.not_found": (404, 3, 19404),
    "request.method_not_allowed": (405, 2, 19405),
}


@dataclass(frozen=True, kw_only=True)
class Bad:
    """Wherever the code is the same, the words are too, whatever the way in."""

    what: str
    code: str
    words: tuple[str, ...]
    """What was given, what is allowed, what to do: in every refusal of it."""
    python: Callable[[Any], Any] | None = None
    """Asked of the client on the database and of the one over HTTP."""
    remote: bool = True
    """Whether the client over HTTP can be asked for it."""
    rest: Ask | None = None
    cloudflare: Ask | None = None
    cli: Run | None = None
    """On the database and on the server."""
    http: str | None = None
    """The code over HTTP, where a request is refused before anybody else is asked."""
    command: str | None = None
    """The code of the command, where the command line refuses it by itself."""

    def __str__(self) -> str:
        return self.what.replace(" ", "-")
