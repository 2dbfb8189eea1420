"""A handle of one workflow on a server: start its instances and find them."""

from __future__ import annotations

import builtins
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.authoring.schedules import declared
from orchestrator.authoring.views import P
from orchestrator.authoring.workflow import Definition
from orchestrator.authoring.workflow_settings import checked
from orchestrator.client import BatchDeleted, BatchError, BulkJob
from orchestrator.client.batches import to_create, to_delete
from orchestrator.durations import MAX_MS
from orchestrator.errors import InstanceNotFound, RequestRefused
from orchestrator.inspection import InstanceView, WorkflowView, check_page
from orchestrator.names import MAX_INSTANCE_ID, check_instance_id, is_text
from orchestrator.numbers import whole
from orchestrator.remote.address import can_be_in_a_path
from orchestrator.remote.insight import RemoteInsight
from orchestrator.remote.instance import RemoteInstance
from orchestrator.remote.records import record, to_text
from orchestrator.remote.schedules import RemoteScheduleActions
from orchestrator.retention import FOREVER, Retention
from orchestrator.serialization import check_readable, encode

if TYPE_CHECKING:
    from orchestrator.remote.root import RemoteClient


@dataclass(frozen=True, slots=True)
class RemoteBatchCreated:
    created: list[RemoteInstance]
    errors: list[BatchError]


class RemoteWorkflowClient(RemoteScheduleActions[P], RemoteInsight):
    def __init__(self, client: RemoteClient, name: str, definition: Definition | None) -> None:
        self.client = client
        self.name = name
        self._transport = client.transport
        self._definition = definition

    def create(
        self,
        params: P | Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        retention: Retention | Mapping[str, Any] | None = None,
    ) -> RemoteInstance:
        """Start an instance; it is durable when this returns. `retention` says how long to keep it once it has ended:
        `{"success_retention": "7 days", "error_retention": "forever"}`.

        Raises InvalidParams, InvalidInstanceId, InstanceAlreadyExists, PayloadTooLarge, NotSerializableError.
        """
        answer = self._transport.ask("POST", *self._place, body=_object(self._fields(params, retention, id)))
        return RemoteInstance(self.client, answer["workflow"], answer["id"], self._definition)

    def create_batch(
        self,
        instances: Sequence[Mapping[str, Any]] | None = None,
        *,
        count: int | None = None,
        params: P | Mapping[str, Any] | None = None,
        retention: Retention | Mapping[str, Any] | None = None,
    ) -> RemoteBatchCreated:
        """Start 1 to 100 instances in one transaction: `count` alike, or one for each mapping with `id`, `params`,
        `retention`. An id that is taken or given twice is an error of its own and keeps no other from being created.

        Raises, before anything is created, InvalidBatch and whatever `create` raises.
        """
        to_create(instances, count)
        shared = self._fields(params, retention)
        shared += [] if count is None else [f'"count": {count}']
        if instances is not None:
            each = [self._fields(item.get("params"), item.get("retention"), item.get("id")) for item in instances]
            shared.append(f'"instances": [{", ".join(_object(fields) for fields in each)}]')
        answer = self._transport.ask("POST", *self._place, "batch", body=_object(shared))
        made = [RemoteInstance(self.client, one["workflow"], one["id"], self._definition) for one in answer["created"]]
        return RemoteBatchCreated(made, [record(BatchError, error) for error in answer["errors"]])

    def delete_batch(self, ids: Sequence[str]) -> BatchDeleted:
        """Remove 1 to 100 instances in one transaction. An id that does not exist is an error of its own.

        Raises, before anything is removed, InvalidBatch and InvalidInstanceId.
        """
        to_delete(ids)
        body = json.dumps({"instances": list(ids)})
        return record(BatchDeleted, self._transport.ask("POST", *self._place, "batch", "delete", body=body))

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
        return RemoteInstance(self.client, self.name, id, self._definition)

    def latest(self) -> RemoteInstance:
        """The newest instance. Raises InstanceNotFound if there is none."""
        newest = self.list(limit=1)
        if not newest:
            raise InstanceNotFound(f"Workflow {self.name!r} has no instances yet.")
        return RemoteInstance(self.client, self.name, newest[0].id, self._definition)

    def find(self, prefix: str, limit: int = 10, before: int | None = None) -> builtins.list[InstanceView]:
        """The instances whose id begins so, the newest first; `before` pages on as in `list`."""
        check_page(limit, None, before)
        if not is_text(prefix) or len(prefix) > MAX_INSTANCE_ID:
            return []
        if not prefix:
            return self.list(limit=limit, before=before)
        return self.client.pages(self._place, limit, before, {"id_prefix": prefix})

    def list(
        self,
        status: Sequence[str] | None = None,
        limit: int = 25,
        before: int | None = None,
        oldest_first: bool = False,
        since: int | None = None,
        until: int | None = None,
        offset: int = 0,
    ) -> list[InstanceView]:
        """One page; `before` is the `cursor` of the last instance of the page before (with `oldest_first` too).

        `since` and `until` bound the creation, in epoch milliseconds. `offset` skips; a cursor is faster.
        """
        check_page(limit, status, before, since, until)
        query = {"status": status, **bounds(oldest_first, since, until)}
        return self.client.pages(self._place, whole(offset, "offset") + limit, before, query)[offset:]

    def count(self, status: Sequence[str] | None = None, since: int | None = None, until: int | None = None) -> int:
        """How many instances a list without a limit would have."""
        check_page(1, status, None, since, until)
        query = {"status": ",".join(status) if status else None, **bounds(False, since, until)}
        found: int = self._transport.get("workflows", self.name, "count", query=query)["count"]
        return found

    def configure(self, **settings: Any) -> WorkflowView:
        """Set `limits`, `concurrency`, `default_retention` or `schedules` from outside; this counts more than what the
        class says. None gives a setting back to the class, `{}` means none at all. `schedules` are those added from
        outside, all of them.

        Raises WorkflowNotFound, InvalidWorkflowSettings, InvalidRetention, InvalidSchedule, InvalidParams.
        """
        found = dict(settings)
        scheduled = found.pop("schedules", ())
        fields = {name: json.dumps(value) for name, value in (found | checked(found, self.name)).items()}
        if "schedules" in settings:
            each = declared(scheduled or (), f"schedules of workflow {self.name!r}")
            fields["schedules"] = f"[{', '.join(_object(self._scheduled(schedule)) for schedule in each)}]"
        body = _object([f"{json.dumps(name)}: {value}" for name, value in fields.items()])
        return record(WorkflowView, self._transport.ask("PATCH", "workflows", self.name, body=body))

    def describe(self) -> WorkflowView:
        return record(WorkflowView, self._transport.get("workflows", self.name))

    @property
    def _place(self) -> tuple[str, ...]:
        return "workflows", self.name, "instances"

    def terminate_all(self, status: Sequence[str] | None = None) -> BulkJob:
        """Terminate all instances there are now, or those in some statuses, in the background.

        Raises UsageError for a status that can't be terminated.
        """
        query = {"status": ",".join(status) if status is not None else None}
        return record(BulkJob, self._transport.ask("PUT", *self._place, "terminate", query=query))

    def delete(self) -> BulkJob:
        """Forget the workflow and its schedules, and remove the instances there are now in the background.

        A worker that still has its class registers it again when it starts.
        """
        return record(BulkJob, self._transport.ask("DELETE", "workflows", self.name))

    def _fields(self, params: Any, retention: Any, id: Any = None) -> builtins.list[str]:
        """The members of a request's body that were given, as JSON text."""
        fields = []
        if params is not None:
            fields.append(f'"params": {self._encoded(params)}')
        if id is not None:
            fields.append(f'"instance_id": {json.dumps(check_instance_id(id))}')
        if retention is not None:
            fields.append(f'"retention": {json.dumps(_kept(Retention.of(retention)))}')
        return fields

    def _encoded(self, params: Any) -> str:
        what = f"The params of workflow {self.name!r}"
        if self._definition is not None:
            return check_readable(self._definition.encode_params(params), what)
        return check_readable(encode(params, what=what), what)


def bounds(oldest_first: bool, since: int | None, until: int | None) -> dict[str, Any]:
    """What a query says of the order and the times of a list."""
    return {
        "direction": "asc" if oldest_first else None,
        "date_start": None if since is None else to_text(since),
        "date_end": None if until is None else to_text(until),
    }


def _object(fields: Sequence[str]) -> str:
    return f"{{{', '.join(fields)}}}"


def _kept(retention: Retention) -> dict[str, Any]:
    shown = {"success_retention": retention.success_ms, "error_retention": retention.error_ms}
    return {name: FOREVER if ms == MAX_MS else ms for name, ms in shown.items() if ms is not None}
