"""Celery's side: the app, the doorbell, the task bodies and the processes; `celery -A tasks worker` finds its app here."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    # Made on first use, from the environment: importing this package must read nothing and connect to nothing.
    if name in ("app", "celery"):
        from tasks.celery_app import default_app

        return default_app()
    raise AttributeError(f"module 'tasks' has no attribute {name!r}")
