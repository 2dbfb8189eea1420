"""The composition root for WSGI servers, `gunicorn web.wsgi:app`; importing it does nothing until `app` is asked."""

from __future__ import annotations

from functools import cache

from flask import Flask

from orchestrator.application import load_application
from orchestrator.client import Client
from orchestrator.settings import Settings
from web import create_app


@cache
def build() -> Flask:
    """The app as the environment describes it. Call it in the process that serves: connections survive no fork."""
    settings = Settings()
    registry = load_application(settings.app) if settings.app else None
    return create_app(Client(settings), registry=registry, deployed=True)


def __getattr__(name: str) -> Flask:
    if name == "app":
        return build()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
