"""Addresses of static files that change with their content, so that browsers may keep them and never show old ones."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from flask import Flask, url_for

YEAR_S = 365 * 24 * 3600


@cache
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def fingerprint(app: Flask) -> None:
    """Gives templates `asset("app.css")`, and lets browsers keep what is asked for by such an address."""
    folder = Path(app.root_path, "static")
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = YEAR_S

    def asset(name: str) -> str:
        return url_for("static", filename=name, v=_digest(folder / name))

    app.add_template_global(asset)
