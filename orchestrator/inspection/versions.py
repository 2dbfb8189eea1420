"""The versions of a workflow's code, and those that an instance has run on; it changes nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection

from orchestrator.serialization import decode
from orchestrator.store import history, versions

CHANGED = "version"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionView:
    """One distinct code of a workflow. Times are epoch milliseconds."""

    id: str
    workflow: str
    class_name: str
    module: str
    created_at: int
    seen_at: int
    """When a worker last started with it."""
    has_graph: bool
    language: str = "python"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def list_versions(connection: Connection, workflow: str) -> list[VersionView]:
    """The one that workers started with last comes first."""
    return [
        VersionView(**{**row._asdict(), "has_graph": bool(row.has_graph)})
        for row in versions.of_workflow(connection, workflow)
    ]


def graph(connection: Connection, workflow: str, id: str) -> dict[str, Any] | None:
    """None where there is no such version, or it has no graph."""
    text = versions.graph(connection, workflow, id)
    found: dict[str, Any] | None = None if text is None else decode(text)
    return found


def versions_of(connection: Connection, pk: int, now: str | None) -> list[str]:
    before = [decode(data) for data in history.all_of_type(connection, pk, CHANGED)]
    # The present one last, where it was met before, too.
    return list(dict.fromkeys(reversed([*before, *([] if now is None else [now])])))[::-1]
