"""The errors the web room raises itself, on the project's one root; their HTTP statuses are in `web.statuses`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.errors import SetupError, UsageError


@dataclass(frozen=True, slots=True)
class FieldProblem:
    field: str
    message: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class MalformedRequest(UsageError):
    """The request body is not valid JSON."""

    code = "request.malformed"


class InvalidRequest(UsageError):
    """The request has a field that is unknown, missing or of the wrong type."""

    code = "request.invalid"

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        super().__init__(" ".join(f"{p.field}: {p.message}" for p in problems) or None)
        self.problems = list(problems)


class UnsupportedMediaType(UsageError):
    """The request body must be JSON: send it with `Content-Type: application/json`."""

    code = "request.unsupported_media_type"


class CrossSiteRefused(UsageError):
    """Another website made the browser send this request. Changes are accepted from this server's own pages only."""

    code = "request.cross_site"


class RemoteRefused(UsageError):
    """This server answers requests from its own machine only.

    It asks for no access tokens, so whoever reaches it may do everything. To open it to others, set
    ORCHESTRATOR_AUTH=tokens; or, behind something that checks who calls, ORCHESTRATOR_ALLOW_REMOTE=1.
    """

    code = "request.remote"


class TooManySubscribers(UsageError):
    """As many as may follow instances at once do so already; try again later, or ask for the instance itself."""

    code = "subscription.too_many"


class RemoteBindRefused(SetupError):
    """The server would be reachable from other machines."""

    code = "web.remote_bind"


class AddressUnavailable(SetupError):
    """The server can't listen on this address."""

    code = "web.address"


class ServerNotInstalled(SetupError):
    """The production server, gunicorn, is not installed. Install it: pip install "celery-orchestrator[server]"."""

    code = "web.server_not_installed"
