"""What views need from outside, kept with the Flask app and read through typed getters; nothing here is global."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from flask import Flask, current_app

from orchestrator.client import Client, WorkflowClient
from web.settings import WebSettings

_KEY = "orchestrator"


@dataclass(frozen=True, slots=True)
class Services:
    client: Client
    settings: WebSettings
    registry: Mapping[str, object] | None = None
    """What this process knows of each workflow by name, where it has loaded the application."""
    subscribers: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(1))
    """How many more may follow an instance: each holds a thread of the server for as long as it does."""


def install(app: Flask, services: Services) -> None:
    app.extensions[_KEY] = services


def services() -> Services:
    return cast(Services, current_app.extensions[_KEY])


def client() -> Client:
    return services().client


def workflow_client(name: str) -> WorkflowClient[Any]:
    """The workflow by its class where this process has it: params that do not fit are then refused, not stored."""
    known = (services().registry or {}).get(name)
    cls = getattr(known, "cls", known)
    return client().workflow(cls) if isinstance(cls, type) else client().workflow(name)
