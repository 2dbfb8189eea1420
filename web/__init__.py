"""The web room's door: the application factory and the servers; it must not open a database or know of Celery."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from flask import Flask
from jinja2 import StrictUndefined

from orchestrator.client import Client
from web import access, addresses, cloudflare, errors, security, static_files
from web.api import api, health
from web.dashboard import dashboard
from web.server import Server, check_address, serve, start
from web.services import Services, install
from web.settings import WebSettings

__all__ = ["Server", "WebSettings", "check_address", "create_app", "serve", "start"]


def create_app(
    client: Client,
    *,
    registry: Mapping[str, object] | None = None,
    settings: WebSettings | None = None,
    deployed: bool = False,
) -> Flask:
    """REST under /api/v1 and as Cloudflare has it, health checks, and the pages at /, all of them over one client."""
    settings = settings or WebSettings.load()
    if deployed:
        settings = settings.for_deployment()
    app = Flask("web")
    # Escaping makes a form up to three times as large as the payload in it.
    max_bytes = settings.max_request_bytes or 4 * client.settings.max_payload_bytes
    # Flask's own limit for form fields is lower than a payload may be.
    app.config |= {"MAX_CONTENT_LENGTH": max_bytes, "MAX_FORM_MEMORY_SIZE": max_bytes}
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of the default provider, which this app uses
    app.jinja_env.undefined = StrictUndefined
    # Without the lines of the templates' own statements an instance with many steps is a third lighter.
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    # Half of the threads stay for ordinary requests.
    subscribers = threading.Semaphore(max(settings.web_threads // 2, 1))
    install(app, Services(client=client, settings=settings, registry=registry, subscribers=subscribers))
    addresses.install(app)
    security.protect(app)
    access.guard(app)
    errors.handle(app)
    static_files.fingerprint(app)
    for blueprint in (api, health, dashboard):
        app.register_blueprint(blueprint)
    cloudflare.mount(app)
    return app
