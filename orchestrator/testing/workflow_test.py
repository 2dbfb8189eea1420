"""What a test of workflows begins with: an engine of its own, whose time can be moved, and ways to look into it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from orchestrator.authoring.views import P
from orchestrator.authoring.workflow import WorkflowEntrypoint
from orchestrator.client import Client
from orchestrator.durations import Duration, to_ms
from orchestrator.settings import Settings
from orchestrator.testing.embedded import EmbeddedEngine
from orchestrator.testing.introspection import InstanceIntrospector, WorkflowIntrospector

Workflow = type[WorkflowEntrypoint[P]]


class WorkflowTest:
    """Runs workflows in the test's own thread, on a database that is gone with the test; no broker, no server.

    Nothing runs by itself: it runs while the test waits for something, asks for something, or lets time pass. Whenever
    an instance wakes, its function is replayed from the top, so that what can't be repeated is found here.

    `database_url`: a database that nobody else works on, instead of a temporary SQLite file; missing tables are made.
    `now`: the time at which it begins. `schedules`: whether what the classes declare starts instances as time passes.
    """

    def __init__(
        self,
        *workflows: type[WorkflowEntrypoint[Any]],
        database_url: str | None = None,
        now: datetime | None = None,
        schedules: bool = False,
        settings: Settings | None = None,
    ) -> None:
        self.engine = EmbeddedEngine(
            workflows, database_url=database_url, now=now, schedules=schedules, settings=settings
        )

    def __enter__(self) -> WorkflowTest:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def client(self) -> Client:
        """Hand it to the code under test. Waiting for a `result` with it lets instances work, and time pass."""
        return self.engine.client

    @property
    def now(self) -> datetime:
        """The time as workflows see it."""
        return datetime.fromtimestamp(self.engine.clock.now_ms() / 1000, UTC)

    def introspect_workflow_instance(self, workflow: Workflow[P] | str, id: str) -> InstanceIntrospector[P]:
        """For an instance of a known id, before or after it is created. Raises WorkflowNotFound, InvalidInstanceId."""
        return InstanceIntrospector(self, self.engine.add(workflow).name, id)

    def introspect_workflow(self, workflow: Workflow[P] | str) -> WorkflowIntrospector[P]:
        """For all instances that are created from now on. Raises WorkflowNotFound, and IntrospectionError for a second
        one of the same workflow."""
        return WorkflowIntrospector(self, self.engine.add(workflow).name)

    def work(self) -> None:
        """Do everything that can be done without letting time pass."""
        self.engine.work()

    def advance(self, duration: Duration) -> None:
        """Let time pass: `"3 days"`, or milliseconds. What falls due on the way is done at its moment."""
        self.engine.pass_by(to_ms(duration))

    def close(self) -> None:
        """Stop, and remove the temporary database. Further calls do nothing."""
        self.engine.close()


def introspect_workflow_instance(
    workflow: Workflow[P] | str, id: str, *, test: WorkflowTest | None = None
) -> InstanceIntrospector[P]:
    """As the method of WorkflowTest; without a test, on one of its own that ends with it."""
    if test is not None:
        return test.introspect_workflow_instance(workflow, id)
    own = WorkflowTest()
    try:
        return InstanceIntrospector(own, own.engine.add(workflow).name, id, closes_test=True)
    except BaseException:
        own.close()
        raise


def introspect_workflow(workflow: Workflow[P] | str, *, test: WorkflowTest | None = None) -> WorkflowIntrospector[P]:
    """As the method of WorkflowTest; without a test, on one of its own that ends with it."""
    if test is not None:
        return test.introspect_workflow(workflow)
    own = WorkflowTest()
    try:
        return WorkflowIntrospector(own, own.engine.add(workflow).name, closes_test=True)
    except BaseException:
        own.close()
        raise
