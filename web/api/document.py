"""REST: the interface's own description."""

from __future__ import annotations

from typing import Any

from flask import Flask, current_app, jsonify
from flask.typing import ResponseReturnValue

from web import addresses
from web.api.blueprint import api
from web.contract import takes
from web.openapi import document


@api.get("/openapi.json")
@takes(dict[str, Any])
def openapi() -> ResponseReturnValue:
    """This document, as OpenAPI 3.1. It needs no token."""
    return jsonify(document(current_app))


def standing_alone() -> dict[str, Any]:
    """The same document without a server."""
    app = Flask("web")
    addresses.install(app)
    app.register_blueprint(api)
    return document(app)
