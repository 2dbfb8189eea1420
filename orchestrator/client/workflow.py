"""A handle of one workflow: start its instances and find them."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator import inspection
from orchestrator.authoring.schedules import declared
from orchestrator.authoring.views import P
from orchestrator.authoring.workflow import DEFAULT_QUEUE, Definition
from orchestrator.client import batches
from orchestrator.client.batches import BatchCreated, BatchDeleted
from orchestrator.client.instance import Instance
from orchestrator.client.schedules import ScheduleActions
from orchestrator.engine import admission, configuration, jobs
from orchestrator.engine.admission import New
from orchestrator.engine.jobs import BulkJob
from orchestrator.errors import InstanceNotFound, VersionNotFound, WorkflowNotFound
from orchestrator.inspection import AggregateRow, InstanceView, VersionView, WorkflowView
from orchestrator.names import is_text
from orchestrator.retention import Retention
from orchestrator.serialization import check_readable, check_size, encode
from orchestrator.store import instances, reading

if TYPE_CHECKING:
    from orchestrator.client.root import Client


class WorkflowClient(ScheduleActions[P]):
    def __init__(self, client: Client, name: str, queue: str, definition: Definition | None) -> None:
        self.client = client
        self.name = name
        self._queue = queue or DEFAULT_QUEUE
        self._definition = definition

    def create(
        self,
        params: P | Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        retention: Retention | Mapping[str, Any] | None = None,
        trigger: str = "api",
    ) -> Instance:
        """Start an instance; it is durable when this returns. `retention` says how long to keep it once it has ended:
        `{"success_retention": "7 days", "error_retention": "forever"}`.

        Raises InvalidParams, InvalidInstanceId, InstanceAlreadyExists, PayloadTooLarge, NotSerializableError,
        InvalidRetention.
        """
        new = self.new(params, id, Retention.of(retention))
        pk = admission.create(self.client.desk, self.name, self._queue, new, trigger=trigger)
        return Instance(self.client, self.name, new.id, pk, self._definition)

    def create_batch(
        self,
        instances: Sequence[Mapping[str, Any]] | None = None,
        *,
        count: int | None = None,
        params: P | Mapping[str, Any] | None = None,
        retention: Retention | Mapping[str, Any] | None = None,
        trigger: str = "api",
    ) -> BatchCreated:
        """Start 1 to 100 instances in one transaction: `count` alike, or one for each mapping with `id`, `params`,
        `retention` (all optional; `params` and `retention` here are for those that have none).

        An id that is taken or given twice is an error of its own and keeps no other from being created. Raises, before
        anything is created, InvalidBatch and whatever `create` raises.
        """
        given = batches.to_create(instances, count)
        chosen = Retention.of(retention)
        many = [
            New.of(
                self._encoded(item.get("params", params)),
                item.get("id"),
                Retention.of(item["retention"]) if item.get("retention") is not None else chosen,
            )
            for item in given
        ]
        batches.check_together(many, self.client.desk.settings.max_payload_bytes)
        first = {new.id: new for new in reversed(many)}
        keys = admission.create_many(self.client.desk, self.name, self._queue, list(first.values()), trigger=trigger)
        made = [
            Instance(self.client, self.name, id, keys[id], self._definition)
            for id in dict.fromkeys(new.id for new in many)
            if id in keys
        ]
        return BatchCreated(made, batches.not_created(self.name, many, set(keys)))

    def delete_batch(self, ids: Sequence[str]) -> BatchDeleted:
        """Remove 1 to 100 instances in one transaction. An id that does not exist is an error of its own.

        Raises, before anything is removed, InvalidBatch and InvalidInstanceId.
        """
        gone = admission.delete_many(self.client.desk, self.name, batches.to_delete(ids))
        return batches.deleted(self.name, ids, gone)

    def get(self, id: str) -> Instance:
        """Raises InstanceNotFound."""
        with self.client.reading() as connection:
            row = instances.find(connection, self.name, id) if is_text(id) else None
        if row is None:
            raise InstanceNotFound(f"Workflow {self.name!r} has no instance with id {id!r}.")
        return Instance(self.client, self.name, id, row.id, self._definition)

    def latest(self) -> Instance:
        """The newest instance. Raises InstanceNotFound if there is none."""
        with self.client.reading() as connection:
            row = reading.latest(connection, self.name)
        if row is None:
            raise InstanceNotFound(f"Workflow {self.name!r} has no instances yet.")
        return Instance(self.client, self.name, row.instance_id, row.id, self._definition)

    def find(self, prefix: str, limit: int = 10, before: int | None = None) -> builtins.list[InstanceView]:
        """The instances whose id begins so, the newest first; `before` pages on as in `list`."""
        with self.client.reading() as connection:
            return inspection.find_instances(connection, self.name, prefix, limit, before)

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
        with self.client.reading() as connection:
            return inspection.list_instances(
                connection, workflow=self.name, statuses=status, limit=limit, cursor=before, oldest_first=oldest_first,
                since=since, until=until, offset=offset,
            )  # fmt: skip

    def count(self, status: Sequence[str] | None = None, since: int | None = None, until: int | None = None) -> int:
        """How many instances a list without a limit would have."""
        with self.client.reading() as connection:
            return inspection.count_instances(connection, self.name, statuses=status, since=since, until=until)

    def terminate_all(self, status: Sequence[str] | None = None) -> BulkJob:
        """Terminate all instances there are now, or those in some statuses, in the background.

        Raises UsageError for a status that can't be terminated.
        """
        return jobs.terminate_all(self.client.desk, self.name, status)

    def delete(self) -> BulkJob:
        """Forget the workflow and its schedules, and remove the instances there are now in the background.

        A worker that still has its class registers it again when it starts.
        """
        job = jobs.delete(self.client.desk, self.name)
        self.client.forget(self.name)
        return job

    def configure(self, **settings: Any) -> WorkflowView:
        """Set `limits`, `concurrency`, `default_retention` or `schedules` from outside; this counts more than what the
        class says. None gives a setting back to the class, `{}` means none at all. `schedules` are those added from
        outside, all of them.

        Raises WorkflowNotFound, InvalidWorkflowSettings, InvalidRetention, InvalidSchedule, InvalidParams.
        """
        scheduled = None
        if "schedules" in settings:
            found = declared(settings.pop("schedules") or (), f"schedules of workflow {self.name!r}")
            scheduled = [(schedule, self._encoded(schedule.params)) for schedule in found]
        configuration.configure(self.client.desk, self.name, settings, scheduled)
        return self.describe()

    def aggregates(
        self,
        since: int | None = None,
        until: int | None = None,
        group_by: Sequence[str] = ("hour",),
        step: str | None = None,
    ) -> Sequence[AggregateRow]:
        """As `Client.aggregates`, of this workflow."""
        return self.client.aggregates(since, until, group_by, step, workflow=self.name)

    def versions(self) -> Sequence[VersionView]:
        """Its code as workers have registered it, each distinct one once; the one they started with last comes first."""
        with self.client.reading() as connection:
            return inspection.list_versions(connection, self.name)

    def version(self, id: str) -> VersionView:
        """Raises VersionNotFound."""
        for view in self.versions():
            if view.id == id:
                return view
        raise VersionNotFound(f"Workflow {self.name!r} has no version {id!r}.")

    def graph(self, version_id: str | None = None) -> dict[str, Any]:
        """The shape of its code, of the newest version unless one is named. Raises VersionNotFound."""
        chosen = version_id or next((view.id for view in self.versions()), "")
        with self.client.reading() as connection:
            found = inspection.graph(connection, self.name, chosen) if is_text(chosen) else None
        if found is None:
            self.version(chosen)
            raise VersionNotFound(
                f"Version {chosen!r} of workflow {self.name!r} has no graph: its source was not at hand."
            )
        return found

    @property
    def queue(self) -> str:
        """Whose workers take its instances."""
        return self._queue

    def new(self, params: Any, id: str | None, retention: Retention) -> New:
        """An instance to be, checked, but not created. Raises what `create` raises before it does."""
        return New.of(self._encoded(params), id, retention)

    def _encoded(self, params: Any) -> str:
        what = f"The params of workflow {self.name!r}"
        if self._definition is not None:
            text = self._definition.encode_params(params)
        else:
            text = encode({} if params is None else params, what=what)
        return check_readable(check_size(text, what, self.client.desk.settings.max_payload_bytes), what)

    def describe(self) -> WorkflowView:
        for view in self.client.workflows():
            if view.name == self.name:
                return view
        raise WorkflowNotFound(f"No worker has registered workflow {self.name!r} yet.")
