"""A handle of one workflow on a server: start its instances and find them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic

from orchestrator.authoring.views import P
from orchestrator.authoring.workflow import Definition
from orchestrator.errors import InstanceNotFound, RequestRefused
from orchestrator.inspection import InstanceView, WorkflowView
from orchestrator.names import check_instance_id, is_text
from orchestrator.remote.address import can_be_in_a_path
from orchestrator.remote.instance import RemoteInstance
from orchestrator.remote.records import record
from orchestrator.serialization import encode

if TYPE_CHECKING:
    from orchestrator.remote.root import RemoteClient


class RemoteWorkflowClient(Generic[P]):
    def __init__(self, client: RemoteClient, name: str, definition: Definition | None) -> None:
        self.client = client
        self.name = name
        self._transport = client.transport
        self._definition = definition

    def create(self, params: P | Mapping[str, Any] | None = None, *, id: str | None = None) -> RemoteInstance:
        """Start an instance; it is durable when this returns.

        Raises InvalidParams, InvalidInstanceId, InstanceAlreadyExists, PayloadTooLarge, NotSerializableError.
        """
        fields = []
        if params is not None:
            fields.append(f'"params": {self._encoded(params)}')
        if id is not None:
            fields.append(f'"instance_id": {json.dumps(check_instance_id(id))}')
        answer = self._transport.ask("POST", *self._place, body=f"{{{', '.join(fields)}}}")
        return RemoteInstance(self.client, answer["workflow"], answer["id"])

    def get(self, id: str) -> RemoteInstance:
        """Raises InstanceNotFound."""
        missing = InstanceNotFound(f"Workflow {self.name!r} has no instance with id {id!r}.")
        if not (is_text(id) and can_be_in_a_path(id)):
            raise missing
        try:
            self._transport.get(*self._place, id)
        except RequestRefused as refused:
            if refused.code != "request.not_found":
                raise
            raise missing from None  # no instance can have an id that makes it another address
        return RemoteInstance(self.client, self.name, id)

    def latest(self) -> RemoteInstance:
        """The newest instance. Raises InstanceNotFound if there is none."""
        newest = self.list(limit=1)
        if not newest:
            raise InstanceNotFound(f"Workflow {self.name!r} has no instances yet.")
        return RemoteInstance(self.client, self.name, newest[0].id)

    def list(
        self,
        status: Sequence[str] | None = None,
        limit: int = 25,
        before: int | None = None,
        oldest_first: bool = False,
    ) -> list[InstanceView]:
        """One page; `before` is the `cursor` of the last instance of the page before (with `oldest_first` too)."""
        query = {"status": status, "direction": "asc" if oldest_first else None}
        return self.client.pages(self._place, limit, before, query)

    def describe(self) -> WorkflowView:
        return record(WorkflowView, self._transport.get("workflows", self.name))

    @property
    def _place(self) -> tuple[str, ...]:
        return "workflows", self.name, "instances"

    def _encoded(self, params: Any) -> str:
        if self._definition is not None:
            return self._definition.encode_params(params)
        return encode(params, what=f"The params of workflow {self.name!r}")
