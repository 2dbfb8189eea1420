"""Where Cloudflare's clients look for the interface, and what holds for all of its routes; it has none of its own."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, request

from web.payloads import refuse_query

API = "/client/v4/"
LOCAL = "/cdn-cgi/local/explorer/api/"
"""Where `wrangler … --local` looks on the port of its dev server, which is ours as well."""

TAKES_QUERY = frozenset(
    {"list_workflows", "list_instances", "show_instance", "subscribe", "show_step", "list_versions", "terminate_all"}
)

cloudflare = Blueprint("cloudflare", __name__)


def mount(app: Flask) -> None:
    app.register_blueprint(cloudflare, url_prefix=f"{API}accounts/<account>")
    app.register_blueprint(cloudflare, url_prefix=LOCAL, name="cloudflare_local")


def speaks_here(path: str) -> bool:
    return path.startswith((API, LOCAL))


@cloudflare.url_value_preprocessor
def forget_account(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    """There is one account here; clients must name one, and any name will do."""
    (values or {}).pop("account", None)


@cloudflare.before_request
def refuse_unknown_query() -> None:
    """A misspelt query field must not be ignored. Routes that take a query check it themselves."""
    if (request.endpoint or "").rpartition(".")[2] not in TAKES_QUERY:
        refuse_query()
