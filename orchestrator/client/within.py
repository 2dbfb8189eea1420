"""Whether a call comes from within an instance, for clients that may not look into the engine."""

from __future__ import annotations

from orchestrator.engine import inside


def created_at_of_caller(workflow: str, instance_id: str) -> int | None:
    """When the instance whose step or `run` calls was created, if it is one of that name (epoch ms)."""
    return inside.created_at_of(workflow, instance_id)
