"""The blueprint /api/v1 and what holds for all of its routes; it has no routes of its own."""

from __future__ import annotations

from flask import Blueprint, request

from web.payloads import refuse_query

api = Blueprint("api", __name__, url_prefix="/api/v1")

TAKES_QUERY = frozenset(
    f"api.{name}"
    for name in (
        "all_aggregates",
        "list_instances",
        "list_all_instances",
        "list_audit",
        "show_step",
        "show_instance",
        "subscribe",
        "terminate_all",
        "wait_for_instance",
        "workflow_aggregates",
    )
)


@api.before_request
def refuse_unknown_query() -> None:
    """A misspelt query field must not be ignored. Routes that take a query check it themselves."""
    if request.endpoint not in TAKES_QUERY:
        refuse_query()
