"""Which errors a page answers with its form again; it words nothing."""

from __future__ import annotations

from orchestrator.errors import OrchestratorError
from web.statuses import status_of


def mendable(error: OrchestratorError) -> int:
    """The status to show the form again with; what the reader can't mend there gets an error page instead."""
    status = status_of(error)
    if status >= 500 or status == 404:
        raise error
    return status
