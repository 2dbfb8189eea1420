"""Changes that are made only if a thing still is what the caller has seen of it: compared in their own transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from orchestrator import inspection
from orchestrator.authoring.workflow_settings import KEYS, merged
from orchestrator.conditions import PreconditionFailed
from orchestrator.inspection import InstanceDetail, WorkflowView
from orchestrator.store import instances, workflows

if TYPE_CHECKING:
    from orchestrator.client.instance import Instance
    from orchestrator.client.workflow import WorkflowClient

Matches = Callable[[str], bool]
"""Whether a tag is that of what was seen."""


def tag_of(detail: InstanceDetail) -> str:
    """Another one for each difference that can be seen, the same in every process."""
    return _hash(detail.to_dict())


def tag_of_settings(view: WorkflowView) -> str:
    """Of how a workflow is set: how many instances it has does not count."""
    return _hash([getattr(view, key) for key in KEYS])


@contextmanager
def unchanged(instance: Instance, matches: Matches | None) -> Iterator[None]:
    """Within it the instance is changed if its tag matches, or else PreconditionFailed is raised. None: whatever it is."""
    if matches is None:
        yield
        return
    client, pk = instance._client, instance._pk

    def check(connection: Any) -> None:
        instances.lock(connection, pk)
        detail = inspection.describe(connection, pk)
        if detail is not None and not matches(tag := tag_of(detail)):
            raise PreconditionFailed(etag=tag)

    with client.desk.database.along(before=check):
        yield


@contextmanager
def unchanged_settings(of: WorkflowClient[Any], matches: Matches | None) -> Iterator[None]:
    """The same of how a workflow is set."""
    if matches is None:
        yield
        return

    def check(connection: Any) -> None:
        row = workflows.settings(connection, of.name)
        if row is None:
            return
        holds = merged(json.loads(row.declared), json.loads(row.configured))
        tag = _hash([holds[key] for key in KEYS])
        if not matches(tag):
            raise PreconditionFailed(etag=tag)

    with of.client.desk.database.along(before=check):
        yield


def _hash(seen: Any) -> str:
    return hashlib.sha256(json.dumps(seen, sort_keys=True, default=str).encode()).hexdigest()[:32]
