"""The whole output of one step: as JSON, or as the bytes of its stream."""

from __future__ import annotations

from typing import Literal

from flask import Response

from orchestrator.client import StepOutput
from orchestrator.errors import StepNotFound
from web.services import workflow_client


def by_label(
    workflow: str, instance_id: str, label: str, type: Literal["do", "sleep", "waitForEvent"], attempt: int | None
) -> StepOutput:
    """The step that is shown as `charge-2`: the second one of the name `charge`. Raises StepNotFound."""
    name, _, count = label.rpartition("-")
    if not name or not count.isdecimal() or len(count) > 9:
        raise StepNotFound(f"{label!r} is the name of no step: it ends in a number, as in `charge-1`.")
    instance = workflow_client(workflow).get(instance_id)
    return instance.step(name, count=max(int(count), 1), type=type, attempt=attempt)


def stream(output: StepOutput) -> Response | None:
    """The answer to whoever asks for a step that has returned a stream of bytes."""
    if output.stream is None:
        return None
    return Response(iter(output.stream), mimetype="application/octet-stream")
