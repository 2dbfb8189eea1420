"""How an instance's id stands in an address, slashes included; it looks nothing up."""

from __future__ import annotations

from flask import Flask
from werkzeug.routing import BaseConverter

from orchestrator.names import SCHEDULED


class InstanceId(BaseConverter):
    """One part of the path, or the id of an instance that a schedule has started, which may have slashes (`*/5`).

    What stands after an id is never taken for a part of it, and the names of collections are no ids, so that each
    address belongs to one route: a wrong method is then answered with 405 and the methods it has.
    """

    regex = rf"(?!(?:batch|terminate)(?:/|\Z))(?:[^/]+|{SCHEDULED})"
    part_isolating = False


def install(app: Flask) -> None:
    """Before the routes that need it."""
    app.url_map.converters["instance"] = InstanceId
