"""What `orchestrator dev` says when it starts: what runs where, and the command to try next; it starts nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.configuration import broker_words, database_words, without_password
from orchestrator.cli.example import trigger_command
from orchestrator.cli.version import own_version

if TYPE_CHECKING:
    from orchestrator.authoring.registry import Registry
    from orchestrator.settings import Settings


@dataclass(frozen=True, slots=True)
class Started:
    app: str
    url: str
    settings: Settings
    registry: Registry
    watched: str | None
    """The directory whose changes restart it; None without reload."""

    def to_dict(self) -> dict[str, Any]:
        workflows = [{"name": name, "class_name": found.cls.__name__} for name, found in self.registry.items()]
        return {
            "process": "dev",
            "app": self.app,
            "url": self.url,
            "database": without_password(self.settings.database_url),
            "workflows": workflows,
        }


def banner(started: Started) -> str:
    """The whole of it, for the first start."""
    reload = f"on, for changes below {started.watched}" if started.watched else "off"
    rows = [
        ("Pages", started.url),
        ("Database", database_words(started.settings.database_url)),
        ("Broker", broker_words(started.settings.celery_broker_url)),
        ("Worker", "in this process"),
        ("Reload", reload),
        ("Workflows", ", ".join(started.registry)),
    ]
    lines = ["", click.style(f"orchestrator {own_version()}", bold=True) + f" runs {started.app}", ""]
    lines += [f"  {click.style(f'{name:<10}', dim=True)} {value}" for name, value in rows]
    first = next(iter(started.registry.values()))
    lines += ["", "  Start one from another terminal, in this directory:", "", f"    {trigger_command(first)}"]
    return "\n".join([*lines, "", "Ctrl-C stops it.", ""])


def reloaded(started: Started) -> str:
    """One line, for every later start."""
    return f"✅ Running again: {', '.join(started.registry)}"
