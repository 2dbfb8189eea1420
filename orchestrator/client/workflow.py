"""A handle of one workflow: start its instances and find them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic

from orchestrator import inspection
from orchestrator.authoring.views import P
from orchestrator.authoring.workflow import DEFAULT_QUEUE, Definition
from orchestrator.client.instance import Instance
from orchestrator.engine.admission import create
from orchestrator.errors import InstanceNotFound, WorkflowNotFound
from orchestrator.inspection import InstanceView, WorkflowView
from orchestrator.names import is_text
from orchestrator.serialization import check_size, encode
from orchestrator.store import instances, reading

if TYPE_CHECKING:
    from orchestrator.client.root import Client


class WorkflowClient(Generic[P]):
    def __init__(self, client: Client, name: str, queue: str, definition: Definition | None) -> None:
        self.client = client
        self.name = name
        self._queue = queue or DEFAULT_QUEUE
        self._definition = definition

    def create(
        self, params: P | Mapping[str, Any] | None = None, *, id: str | None = None, trigger: str = "api"
    ) -> Instance:
        """Start an instance; it is durable when this returns.

        Raises InvalidParams, InvalidInstanceId, InstanceAlreadyExists, PayloadTooLarge, NotSerializableError.
        """
        desk = self.client.desk
        what = f"The params of workflow {self.name!r}"
        if self._definition is not None:
            text = self._definition.encode_params(params)
        else:
            text = encode({} if params is None else params, what=what)
        check_size(text, what, desk.settings.max_payload_bytes)
        pk, chosen = create(desk, self.name, self._queue, text, instance_id=id, trigger=trigger)
        return Instance(self.client, self.name, chosen, pk)

    def get(self, id: str) -> Instance:
        """Raises InstanceNotFound."""
        with self.client.reading() as connection:
            row = instances.find(connection, self.name, id) if is_text(id) else None
        if row is None:
            raise InstanceNotFound(f"Workflow {self.name!r} has no instance with id {id!r}.")
        return Instance(self.client, self.name, id, row.id)

    def latest(self) -> Instance:
        """The newest instance. Raises InstanceNotFound if there is none."""
        with self.client.reading() as connection:
            row = reading.latest(connection, self.name)
        if row is None:
            raise InstanceNotFound(f"Workflow {self.name!r} has no instances yet.")
        return Instance(self.client, self.name, row.instance_id, row.id)

    def list(
        self,
        status: Sequence[str] | None = None,
        limit: int = 25,
        before: int | None = None,
        oldest_first: bool = False,
    ) -> list[InstanceView]:
        """One page; `before` is the `cursor` of the last instance of the page before (with `oldest_first` too)."""
        with self.client.reading() as connection:
            return inspection.list_instances(
                connection, workflow=self.name, statuses=status, limit=limit, cursor=before, oldest_first=oldest_first
            )

    def describe(self) -> WorkflowView:
        for view in self.client.workflows():
            if view.name == self.name:
                return view
        raise WorkflowNotFound(f"No worker has registered workflow {self.name!r} yet.")
