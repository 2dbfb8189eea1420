"""`orchestrator version`: what is installed, read from the packages' own records without importing them."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version

import click

from orchestrator.cli.command import command
from orchestrator.cli.output import Output, table

_PARTS = "celery kombu redis sqlalchemy psycopg alembic flask gunicorn pydantic click rich".split()


def own_version() -> str:
    return _version_of("celery-orchestrator") or "0+checkout"


@command("version")
def version(ctx: click.Context) -> None:
    """Show the versions of everything involved, for a bug report."""
    versions = {"orchestrator": own_version(), "python": platform.python_version(), "platform": platform.platform()}
    versions |= {part: found for part in _PARTS if (found := _version_of(part))}
    Output.of(ctx).record(versions, id=versions["orchestrator"], show=lambda: table(("", ""), versions.items()))


def _version_of(package: str) -> str | None:
    try:
        return installed_version(package)
    except PackageNotFoundError:
        return None
