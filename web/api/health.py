"""Health checks for whoever runs the process: alive at /healthz, able to work at /readyz."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from web.services import client

health = Blueprint("health", __name__)


@health.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Asks nobody: a database that is away is no reason to restart this process."""
    return jsonify(status="ok")


@health.get("/readyz")
def readyz() -> ResponseReturnValue:
    """503 with the reason when the database is away, or of another version than the code."""
    client().instances(limit=1)
    return jsonify(status="ready")
