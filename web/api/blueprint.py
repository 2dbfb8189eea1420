"""The blueprint /api/v1 and what holds for all of its routes; it has no routes of its own."""

from __future__ import annotations

from flask import Blueprint, current_app, request

from web.contract import contract_of
from web.payloads import refuse_query
from web.repeats import answer_once

api = Blueprint("api", __name__, url_prefix="/api/v1")


@api.before_request
def refuse_unknown_query() -> None:
    """A misspelt query field must not be ignored. Routes that take a query check it themselves."""
    contract = contract_of(current_app.view_functions.get(request.endpoint or ""))
    if contract is None or contract.query is None:
        refuse_query()


# After the check above: what can't be asked at all takes no key.
answer_once(api)
