"""What a workflow is set to: by its class, whenever a worker registers it, and from outside, which counts more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from orchestrator.authoring.schedules import Schedule
from orchestrator.authoring.workflow import DEFAULT_STEP_LIMIT
from orchestrator.authoring.workflow_settings import checked, merged
from orchestrator.engine import schedules
from orchestrator.engine.admission import Desk
from orchestrator.errors import WorkflowNotFound
from orchestrator.store import workflows


def declare(connection: Connection, name: str, declared: Mapping[str, Any]) -> None:
    """Write down what the class of a registered workflow says."""
    stored = workflows.settings(connection, name)
    if stored is not None:
        _write(connection, name, declared, json.loads(stored.configured))


def configure(
    desk: Desk,
    name: str,
    given: Mapping[str, Any],
    scheduled: list[tuple[Schedule, str]] | None,
) -> None:
    """Set what is given; None gives a setting back to the class, {} means none. Raises WorkflowNotFound,
    InvalidWorkflowSettings, InvalidRetention."""
    found = checked(given, name)
    now = desk.clock.now_ms()

    def work(connection: Connection) -> bool:
        stored = workflows.settings(connection, name)
        if stored is None:
            return False
        configured = {key: value for key, value in json.loads(stored.configured).items() if key not in given}
        _write(connection, name, json.loads(stored.declared), configured | found)
        if scheduled is not None:
            schedules.synchronise(connection, name, scheduled, now, source=schedules.API)
        return True

    if not desk.database.transaction(work):
        raise WorkflowNotFound(f"No worker has registered workflow {name!r} yet.")


def _write(connection: Connection, name: str, declared: Mapping[str, Any], configured: Mapping[str, Any]) -> None:
    holds = merged(declared, configured)
    workflows.set_settings(
        connection,
        name=name,
        declared=json.dumps(declared),
        configured=json.dumps(configured),
        # `{}` from outside means the default, whatever the class says.
        step_limit=holds["limits"].get("steps", DEFAULT_STEP_LIMIT if "limits" in configured else None),
        concurrency_limit=holds["concurrency"].get("limit"),
        success_retention_ms=holds["default_retention"].get("success_retention"),
        error_retention_ms=holds["default_retention"].get("error_retention"),
    )
