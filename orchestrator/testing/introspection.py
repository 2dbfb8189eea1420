"""Handles of what a test looks at and changes: one instance, or all instances of a workflow; they run nothing themselves."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from orchestrator import inspection
from orchestrator.authoring.policy import is_sensitive
from orchestrator.authoring.shown import shown_output
from orchestrator.authoring.streams import ByteStream, stream_info
from orchestrator.authoring.views import P
from orchestrator.client import Instance
from orchestrator.client.instance import InstanceState
from orchestrator.engine.streams import reader
from orchestrator.errors import InstanceNotFound
from orchestrator.inspection import InstanceDetail
from orchestrator.inspection.lists import MAX_PAGE
from orchestrator.names import check_address, label_of
from orchestrator.retention import Retention
from orchestrator.serialization import decode, decode_error
from orchestrator.statuses import FINITE, InstanceStatus, StepKind
from orchestrator.store import reading
from orchestrator.testing.misuse import BY, IntrospectionError, UnusedModifierWarning
from orchestrator.testing.modifier import Modifier
from orchestrator.testing.steps import Step, key_of
from orchestrator.testing.unused import unused

if TYPE_CHECKING:
    from orchestrator.testing.workflow_test import WorkflowTest

T = TypeVar("T")
Modify = Callable[[Modifier], Any]


class InstanceIntrospector(Generic[P]):
    """One instance, by its id, before or after it is created. Dispose of it, or use it in `with`: then it is removed."""

    def __init__(self, test: WorkflowTest, workflow: str, id: str, *, closes_test: bool = False) -> None:
        self.test = test
        self.workflow = workflow
        self.id = check_address(id)
        self._engine = test.engine
        self._closes_test = closes_test
        self._disposed = False
        self._modifications = self._engine.modified.named(workflow, id)

    def __repr__(self) -> str:
        return f"<InstanceIntrospector {self.workflow}/{self.id}>"

    def __enter__(self) -> InstanceIntrospector[P]:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *exc: object) -> None:
        self._dispose(check=exc_type is None)

    def modify(self, change: Modify | None = None) -> Modifier:
        """Change what it does: `instance.modify(lambda m: m.disable_sleeps())`, or `instance.modify().disable_sleeps()`."""
        return changed(Modifier(self._alive()._modifications), change)

    def create(
        self, params: P | Mapping[str, Any] | None = None, *, retention: Retention | Mapping[str, Any] | None = None
    ) -> Instance:
        """Start it. It may as well be created in any other way with the client of the test. Raises what `create` raises."""
        return self._alive().test.client.workflow(self.workflow).create(params, id=self.id, retention=retention)

    @property
    def handle(self) -> Instance:
        """The client's handle: to send events, pause, restart. Raises IntrospectionError if it has not been created."""
        try:
            return self._alive().test.client.workflow(self.workflow).get(self.id)
        except InstanceNotFound:
            raise IntrospectionError(
                f'{BY} The Workflow instance "{self.id}" of workflow "{self.workflow}" has not been created. Call '
                "`create(params)` of this introspector, or create it with the client of its test (`instance.test.client`)."
            ) from None

    def wait_for_step_result(self, step: Step) -> Any:
        """What a `step.do` returned, as it is stored: a ByteStream for a stream, `"[REDACTED]"` if it is sensitive.

        Raises what the step failed with; IntrospectionError if the instance ends without it.
        """
        key = key_of(step, StepKind.DO)

        def look(handle: Instance) -> tuple[Any] | None:
            with self.test.client.reading() as connection:
                rows = reading.step_of(connection, handle._pk, handle.describe().run, key)
            if not rows:
                self._refuse_if_ended(handle, key)
                return None
            if rows[0].error is not None:
                raise decode_error(decode(rows[0].error))
            return (self._stored(rows[0]),)

        return self._until(look)[0]

    def wait_for_status(self, status: str) -> None:
        """Let it go on, and time pass, until it has this status.

        Raises IntrospectionError if it ends in another one, or nothing more happens. Whoever waits for `running` gets
        an instance that has begun: between two calls of a test it stands still.
        """
        if status not in set(InstanceStatus):
            raise IntrospectionError(
                f"{BY} There is no status called {status!r}; there are {', '.join(InstanceStatus)}."
            )
        if status == InstanceStatus.QUEUED:
            return

        def look(handle: Instance) -> bool | None:
            state = handle.status()
            if state.status == status or (status == InstanceStatus.RUNNING and state.status == InstanceStatus.WAITING):
                return True
            if state.status in FINITE:
                raise IntrospectionError(
                    f"{BY} The Workflow instance {self.id} has reached status '{state.status}'. This is a finite status "
                    f"that prevents it from ever reaching the expected status of '{status}'.{_reason(state)}"
                )
            return None

        self._until(look)

    def get_output(self) -> Any:
        """What `run` returned. Raises IntrospectionError unless the instance is complete."""
        state = self._state()
        if state.status != InstanceStatus.COMPLETE:
            raise IntrospectionError(
                f'Cannot retrieve output: Workflow instance is in status "{state.status}" but must be "complete" to have '
                f"an output available.{_reason(state)}"
            )
        return state.output

    def get_error(self) -> dict[str, Any]:
        """`{"name", "message"}` of what it ended with. Raises IntrospectionError unless the instance has errored."""
        state = self._state()
        if state.status != InstanceStatus.ERRORED or state.error is None:
            raise IntrospectionError(
                f'Cannot retrieve error: Workflow instance is in status "{state.status}" but must be "errored" to have '
                "error information available"
            )
        return state.error

    def dispose(self, *, check: bool = True) -> None:
        """Remove the instance, so that its id can be used again, and forget what was modified. Further calls do nothing.

        Warns (UnusedModifierWarning) of modifiers that have met nothing, unless `check` is off.
        """
        self._dispose(check)

    def _dispose(self, check: bool) -> None:
        if self._disposed:
            return
        try:
            detail = self._remove()
        finally:
            self._disposed = True
            self._engine.modified.forget(self.workflow, self.id)
            if self._closes_test:
                self.test.close()
        if check and detail is not None:
            warn(f"{self.workflow}/{self.id}", unused(self._modifications, [detail]))

    # --- within

    def _alive(self) -> InstanceIntrospector[P]:
        if self._disposed:
            raise IntrospectionError(
                f'Workflow "{self.workflow}" does not have an active introspection session for this introspector. It was '
                "disposed of, at the end of its `with` perhaps; introspect the instance anew."
            )
        return self

    def _state(self) -> InstanceState:
        handle = self.handle
        self._engine.work()
        return handle.status()

    def _until(self, look: Callable[[Instance], T | None]) -> T:
        handle = self.handle
        self._engine.wait_begins()
        self._engine.work()
        while (found := look(handle)) is None:
            if not self._engine.wait_on():
                detail = handle.describe()
                waits = f" It waits for: {detail.waiting_for}." if detail.waiting_for else ""
                raise IntrospectionError(
                    f"{BY} The Workflow instance {self.id} has status '{detail.status}' and nothing more happens to it by "
                    f"itself.{waits}"
                )
        return found

    def _refuse_if_ended(self, handle: Instance, key: str) -> None:
        state = handle.status()
        if state.status in FINITE:
            there = ", ".join(repr(step.label) for step in handle.describe().steps if step.kind == StepKind.DO)
            raise IntrospectionError(
                f"{BY} The Workflow instance {self.id} has reached status '{state.status}' without a result of step "
                f"'{label_of(key)}'. It came to: {there or 'no step'}.{_reason(state)}"
            )

    def _stored(self, row: Any) -> Any:
        stream = stream_info(row.result)
        if stream is not None and not is_sensitive(row.config):
            return ByteStream(stream, reader(self._engine.database))
        return shown_output(row.result, row.config)

    def _remove(self) -> InstanceDetail | None:
        try:
            handle = self.test.client.workflow(self.workflow).get(self.id)
        except InstanceNotFound:
            return None
        detail = handle.describe()
        handle.delete()
        self._engine.work()
        return detail


class WorkflowIntrospector(Generic[P]):
    """All instances of a workflow that are created from now on, whatever their ids."""

    def __init__(self, test: WorkflowTest, workflow: str, *, closes_test: bool = False) -> None:
        self.test = test
        self.workflow = workflow
        self._engine = test.engine
        self._closes_test = closes_test
        self._disposed = False
        self._introspectors: dict[str, InstanceIntrospector[P]] = {}
        with test.client.reading() as connection:
            newest = inspection.list_instances(connection, workflow=workflow, limit=1)
        self._session = self._engine.modified.open(workflow, newest[0].cursor if newest else 0)

    def __repr__(self) -> str:
        return f"<WorkflowIntrospector {self.workflow}>"

    def __enter__(self) -> WorkflowIntrospector[P]:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *exc: object) -> None:
        self._dispose(check=exc_type is None)

    def modify_all(self, change: Modify | None = None) -> Modifier:
        """Change what every instance does that is created after this; further calls add to it."""
        self.get()  # those that are there already keep what was said before
        return changed(Modifier(self._session.modifications), change)

    def get(self) -> list[InstanceIntrospector[P]]:
        """The instances that were created since, the first one first."""
        if self._disposed:
            raise IntrospectionError(
                f'Workflow "{self.workflow}" does not have an active introspection session for this introspector. It was '
                "disposed of, at the end of its `with` perhaps; introspect the workflow anew."
            )
        with self.test.client.reading() as connection:
            found = inspection.list_instances(
                connection, workflow=self.workflow, limit=MAX_PAGE, cursor=self._session.floor, oldest_first=True
            )
        for view in found:
            if view.id not in self._introspectors:
                self._introspectors[view.id] = InstanceIntrospector(self.test, self.workflow, view.id)
        return [self._introspectors[view.id] for view in found]

    def dispose(self, *, check: bool = True) -> None:
        """Dispose of every instance, and end the session. Further calls do nothing.

        Warns (UnusedModifierWarning) of modifiers that no instance has met, unless `check` is off.
        """
        self._dispose(check)

    def _dispose(self, check: bool) -> None:
        if self._disposed:
            return
        try:
            introspectors = self.get()
            seen = [one.handle.describe() for one in introspectors if not one._disposed]
            for one in introspectors:
                one.dispose(check=False)
        finally:
            self._disposed = True
            self._engine.modified.close(self.workflow)
            if self._closes_test:
                self.test.close()
        if check and seen:
            warn(self.workflow, unused(self._session.modifications, seen))


def changed(modifier: Modifier, change: Modify | None) -> Modifier:
    if change is not None:
        if not callable(change):
            raise IntrospectionError(f"{BY} Give a function such as `lambda m: m.disable_sleeps()`, not {change!r}.")
        answer = change(modifier)
        if hasattr(answer, "__await__"):
            answer.close()
            raise IntrospectionError(f"{BY} Give a plain function and not an `async` one: a modifier awaits nothing.")
    return modifier


def warn(what: str, reasons: Any) -> None:
    told = " ".join(reasons)
    if told:
        warnings.warn(f"{BY} Modifiers of {what} were not used. {told}", UnusedModifierWarning, stacklevel=4)


def _reason(state: InstanceState) -> str:
    return "" if state.error is None else f" It ended with {state.error['name']}: {state.error['message']}"
