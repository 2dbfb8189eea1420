"""`.orchestrator/dev.json`: what a running `orchestrator dev` tells other commands in its directory; never a secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PATH = Path(".orchestrator/dev.json")


def write_devfile(*, app: str, url: str, database: str) -> None:
    PATH.parent.mkdir(parents=True, exist_ok=True)
    draft = PATH.with_suffix(".json.new")
    draft.write_text(json.dumps({"app": app, "url": url, "database": database}, indent=2) + "\n", encoding="utf-8")
    draft.replace(PATH)


def read_devfile() -> dict[str, Any]:
    """What is there, or nothing: a file that can't be read is no reason to fail."""
    try:
        content = json.loads(PATH.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def app_of_dev() -> str | None:
    app = read_devfile().get("app")
    return app if isinstance(app, str) and app else None
