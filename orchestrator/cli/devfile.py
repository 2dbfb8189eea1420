"""`.orchestrator/dev.json`: what a running `orchestrator dev` tells other commands in its directory; never a secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestrator.clock import SystemClock

PATH = Path(".orchestrator/dev.json")
START_S = 20.0
"""A start that takes longer is no reason for others to wait on."""


def write_devfile(*, app: str, url: str, database: str) -> None:
    _write({"app": app, "url": url, "database": database})


def write_start(*, app: str, database: str) -> None:
    """That it is starting, so that the tables are about to be there."""
    _write({"app": app, "database": database, "starting_at": SystemClock().now_ms()})


def read_devfile() -> dict[str, Any]:
    """What is there, or nothing: a file that can't be read is no reason to fail."""
    try:
        content = json.loads(PATH.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def still_starting_s(database: str) -> float:
    """For how long it is worth waiting for the tables of this database; 0 where nothing here is starting on it."""
    content = read_devfile()
    began_at = content.get("starting_at")
    if content.get("database") != database or not isinstance(began_at, int):
        return 0.0
    since_s = (SystemClock().now_ms() - began_at) / 1000
    return START_S - since_s if 0 <= since_s < START_S else 0.0


def app_of_dev() -> str | None:
    app = read_devfile().get("app")
    return app if isinstance(app, str) and app else None


def _write(content: dict[str, Any]) -> None:
    PATH.parent.mkdir(parents=True, exist_ok=True)
    draft = PATH.with_suffix(".json.new")
    draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    draft.replace(PATH)
