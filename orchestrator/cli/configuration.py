"""The settings as the command line overrides them, and how they are shown: without a password; it opens nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from orchestrator.settings import Settings


def settings_with(**given: Any) -> Settings:
    """What the environment says, with what was given on the command line in its place (None: not given)."""
    from orchestrator.settings import Settings

    return Settings().model_copy(update={name: value for name, value in given.items() if value is not None})


def require_app(app: str | None) -> str:
    """The application, for a process that can't do without; its own child processes find it in the environment."""
    app = app or settings_with().app
    if not app:
        raise UsageError("No application is given, and a worker needs its code: --app app.py, or ORCHESTRATOR_APP.")
    os.environ["ORCHESTRATOR_APP"] = app
    return app


def find_app(app: str | None) -> str:
    """The application given, or the `app.py` that lies here."""
    app = app or settings_with().app
    if app:
        for file in files_of(app):
            if not file.is_file():
                raise UsageError(f"There is no file {str(file)!r} in {Path.cwd()}. Give path/app.py or package.module.")
        return app
    if Path("app.py").is_file():
        return "app.py"
    raise UsageError(f"No application is given, and there is no app.py in {Path.cwd()}: orchestrator dev path/app.py")


def files_of(app: str) -> list[Path]:
    """The files among the parts of an application, which may be several, separated by commas."""
    return [Path(part.strip()) for part in app.split(",") if part.strip().endswith(".py")]


def without_password(url: str) -> str:
    """The address with `***` for the password, for people and for files."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.split(':')[0]}:***@{host}"))


def database_words(url: str) -> str:
    scheme, _, file = url.partition(":///")
    if scheme.startswith("sqlite"):
        return f"SQLite, {file or 'in memory'}"
    return without_password(url)


def broker_words(url: str | None) -> str:
    if url is None or url.startswith("memory:"):
        return "in this process: no Redis needed"
    return without_password(url)
