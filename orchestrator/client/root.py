"""The client itself: it opens the database and the doorbell of the settings and hands out handles."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Sequence
from typing import Any, overload

from orchestrator import inspection
from orchestrator.authoring.registry import unknown_workflow
from orchestrator.authoring.views import P
from orchestrator.authoring.workflow import Definition, WorkflowEntrypoint
from orchestrator.client.access import Access
from orchestrator.client.inbox import MessageActions
from orchestrator.client.workflow import WorkflowClient
from orchestrator.doorbell import Doorbell, LocalNotifier, Notifier, SilentDoorbell
from orchestrator.engine.admission import Desk
from orchestrator.engine.answers import Answers
from orchestrator.errors import SettingsError, WorkflowNotFound
from orchestrator.inspection import AggregateRow, InstanceView, ScheduleView, WorkflowView
from orchestrator.names import check_workflow_name
from orchestrator.settings import Settings
from orchestrator.store import migrate
from orchestrator.store import workflows as workflow_store
from orchestrator.store.database import Database


class Client(MessageActions):
    """`Client()` reads the settings from the environment; it opens the database on first use and checks its schema."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        database: Database | None = None,
        doorbell: Doorbell | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self._given = database is not None
        self._database = database
        self._doorbell = doorbell
        self._notifier = notifier
        self._desk: Desk | None = None
        self._queues: dict[str, str] = {}
        self._opening = threading.Lock()

    @property
    def desk(self) -> Desk:
        """Raises DatabaseUnavailable, SchemaBehind, SchemaAhead, SettingsError."""
        if self._desk is None:
            with self._opening:
                if self._desk is None:
                    self._desk = self._open()
        return self._desk

    def _open(self) -> Desk:
        database = self._database or Database(self.settings.database_url, synchronous=self.settings.sqlite_synchronous)
        try:
            if not self._given:
                migrate.check(database)
            doorbell = self._doorbell or load_doorbell(self.settings)
        except BaseException:
            if not self._given:
                database.close()
            raise
        notifier = self._notifier or getattr(doorbell, "notifier", None) or LocalNotifier()
        return Desk(database, self.settings, doorbell, notifier)

    @overload
    def workflow(self, workflow: type[WorkflowEntrypoint[P]]) -> WorkflowClient[P]: ...
    @overload
    def workflow(self, workflow: str) -> WorkflowClient[Any]: ...

    def workflow(self, workflow: type[WorkflowEntrypoint[Any]] | str) -> WorkflowClient[Any]:
        """A workflow by its class, whose params are then checked here, or by name.

        Raises WorkflowNotFound for a name that no worker has ever registered.
        """
        if isinstance(workflow, str):
            name = check_workflow_name(workflow)
            return WorkflowClient(self, name, self._queue_of(name), None)
        definition = Definition.of(workflow)
        return WorkflowClient(self, definition.name, definition.cls.queue, definition)

    def workflows(self) -> list[WorkflowView]:
        with self.reading() as connection:
            return inspection.list_workflows(connection)

    def instances(
        self,
        *,
        status: Sequence[str] | None = None,
        limit: int = 25,
        before: int | None = None,
        oldest_first: bool = False,
        since: int | None = None,
        until: int | None = None,
    ) -> list[InstanceView]:
        """Instances of all workflows, newest first; `since` and `until` bound the creation, in epoch milliseconds."""
        with self.reading() as connection:
            return inspection.list_instances(
                connection, statuses=status, limit=limit, cursor=before, oldest_first=oldest_first, since=since,
                until=until,
            )  # fmt: skip

    def schedules(self) -> list[ScheduleView]:
        """The schedules of all workflows."""
        with self.reading() as connection:
            return inspection.list_schedules(connection, now=self.desk.clock.now_ms())

    def aggregates(
        self,
        since: int | None = None,
        until: int | None = None,
        group_by: Sequence[str] = ("hour",),
        step: str | None = None,
        *,
        workflow: str | None = None,
    ) -> list[AggregateRow]:
        """How often and how fast workflows ran between two times (epoch ms; the last 24 hours unless given).

        `group_by`: any of hour or day, workflow, step. With `step=`, or grouped by it, it is about steps. Raises
        InvalidAggregates.
        """
        with self.reading() as connection:
            return inspection.aggregates(
                connection, workflow=workflow, since=since, until=until, group_by=group_by, step=step,
                now=self.desk.clock.now_ms(),
            )  # fmt: skip

    @property
    def access(self) -> Access:
        """Tokens for the REST interface, and the log of changes."""
        return Access(self)

    @property
    def answers(self) -> Answers:
        """What requests with a key of their own were answered."""
        return Answers(self.desk)

    def reading(self) -> Any:
        return self.desk.database.read()

    def snapshot(self) -> Any:
        """For what is read in several statements and must fit together."""
        return self.desk.database.snapshot()

    def close(self) -> None:
        if self._desk is not None and not self._given:
            self._desk.database.close()
        self._desk = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def forget(self, workflow: str) -> None:
        """What is remembered of a workflow may not hold any more."""
        self._queues.pop(workflow, None)

    def _queue_of(self, name: str) -> str:
        if name not in self._queues:
            with self.reading() as connection:
                self._queues = workflow_store.queues(connection)
        if name not in self._queues:
            raise WorkflowNotFound(unknown_workflow(name, self._queues))
        return self._queues[name]


def load_doorbell(settings: Settings) -> Doorbell:
    """The doorbell of the settings; without a broker, one that leaves it to the pump to notice. Raises SettingsError."""
    if settings.celery_broker_url is None:
        return SilentDoorbell()
    module, _, name = settings.doorbell.partition(":")
    try:
        made: Doorbell = getattr(importlib.import_module(module), name)(settings)
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"The doorbell {settings.doorbell!r} can't be loaded ({error}); it must be module:class."
        ) from error
    return made
