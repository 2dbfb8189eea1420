"""Which code an instance runs on: registered by workers, noted when a claim is let go of, at once only when it changed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from orchestrator.authoring.graph import graph_of
from orchestrator.authoring.source import source_of
from orchestrator.authoring.workflow import Definition
from orchestrator.serialization import encode
from orchestrator.store import history, versions

if TYPE_CHECKING:
    from orchestrator.engine.activation import Activation

log = logging.getLogger(__name__)

CHANGED = "version"
"""A change of an instance that is told to nobody who follows it: its data is the version before."""


def version_of(definition: Definition) -> str:
    return source_of(definition.cls).fingerprint


def register(connection: Connection, name: str, definition: Definition, now: int) -> None:
    cls = definition.cls
    versions.register(
        connection, workflow=name, id=version_of(definition), class_name=cls.__qualname__, module=cls.__module__,
        graph=_graph(definition), now=now,
    )  # fmt: skip


def note_change(activation: Activation, definition: Definition) -> str:
    """This worker's version; noted at once if the instance has run on another so far."""
    mine, before = version_of(definition), activation.claim.version
    if before is not None and before != mine:
        identity, now = activation.identity, activation.runtime.clock.now_ms()
        log.info("%s/%s goes on with version %s, after %s", identity.workflow, identity.instance_id, mine, before)

        def work(connection: Connection) -> None:
            if versions.move(connection, id=identity.pk, fence=activation.fence, version=mine):
                history.note(connection, identity.pk, identity.run, CHANGED, now, encode(before))

        activation.runtime.database.transaction(work)
    return mine


def _graph(definition: Definition) -> str | None:
    tree = source_of(definition.cls).tree
    try:
        return None if tree is None else encode(graph_of(tree))
    except Exception:
        log.exception("no graph could be drawn of workflow %r; it runs all the same", definition.name)
        return None
