"""A worker and a client on one database and one clock, in the test's own thread: nothing happens unless it is asked to."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection

from orchestrator.authoring.registry import Registry
from orchestrator.authoring.workflow import Definition, WorkflowEntrypoint
from orchestrator.client import Client
from orchestrator.doorbell import LocalNotifier
from orchestrator.engine import events, host
from orchestrator.engine.local import LocalDoorbell, run_until_idle
from orchestrator.engine.orders import Runner
from orchestrator.engine.runtime import Runtime
from orchestrator.retention import FOREVER
from orchestrator.settings import Settings
from orchestrator.statuses import RETRY, StepKind
from orchestrator.store import agenda, instances, timers
from orchestrator.store.database import Database
from orchestrator.testing.bodies import ModifiedRunner
from orchestrator.testing.clock import MovableClock
from orchestrator.testing.misuse import BY, IntrospectionError
from orchestrator.testing.modified import ModifiedInstances
from orchestrator.testing.modifier import Modifications
from orchestrator.testing.temporary import TemporaryDatabase, given

MAX_ROUNDS = 10_000
"""An instance that goes on for longer without waiting for anything that is not skipped never ends."""
MAX_MOVES = 1000
"""So often one wait of a test moves the clock."""
POLL_S = 0.001


class EmbeddedEngine:
    def __init__(
        self, workflows: Iterable[type[WorkflowEntrypoint[Any]]], *, database_url: str | None, now: datetime | None,
        schedules: bool, settings: Settings | None,
    ) -> None:  # fmt: skip
        self._closing = ExitStack()
        self._thread = threading.get_ident()
        self._with_schedules = schedules
        self.max_rounds, self.max_moves = MAX_ROUNDS, MAX_MOVES
        self._moves = 0
        self.registry = Registry(workflows)
        self.modified = ModifiedInstances()
        self.clock = MovableClock(now)
        self.database = self._open(database_url)
        try:
            self._start(settings)
        except BaseException:
            self.close()
            raise

    def _open(self, url: str | None) -> Database:
        if url is None:
            temporary = TemporaryDatabase(self.clock)
            self._closing.callback(temporary.close)
            return temporary.database
        database = given(url, self.clock)
        self._closing.callback(database.close)
        return database

    def _start(self, settings: Settings | None) -> None:
        self.settings = _settings(settings, self.database.url.render_as_string(hide_password=False))
        self.doorbell = LocalDoorbell(self.clock)
        self.notifier = _Patience(self)
        self.runtime = Runtime(self.database, self.registry, self.settings, self.doorbell, notifier=self.notifier)
        self._closing.callback(self.runtime.completions.stop)
        self._closing.callback(self.runtime.bodies.stop)
        self._bodies = ModifiedRunner(
            self.runtime.runner, self.clock, lambda one: self.modified.of(one.workflow, one.instance_id, one.pk)
        )
        self.runtime.runner = cast(Runner, self._bodies)
        self.client = Client(self.settings, database=self.database, doorbell=self.doorbell, notifier=self.notifier)
        self._register()

    def add(self, workflow: type[WorkflowEntrypoint[Any]] | str) -> Definition:
        """Raises WorkflowNotFound for a name that is not known, SetupError for a class that is no workflow."""
        if isinstance(workflow, str):
            return self.registry.require(workflow)
        given: object = workflow
        if not isinstance(given, type) or not issubclass(given, WorkflowEntrypoint):
            raise IntrospectionError(
                f"{BY} Workflow is required: a class derived from WorkflowEntrypoint, or the name of one that this test "
                f"knows, not {given!r}."
            )
        known = len(self.registry)
        definition = self.registry.add(workflow)
        if len(self.registry) != known:
            self._register()
        return definition

    def close(self) -> None:
        """End its threads and remove its database, if that is its own. Further calls do nothing."""
        self._closing.close()

    # --- working

    @property
    def is_here(self) -> bool:
        """Whether the caller may let instances work: the test, or the body of a step that the test's thread runs. Not an
        `async def` body: what it waits for may need the loop that it holds up."""
        return threading.get_ident() == self._thread and not self.runtime.bodies.is_here

    def work(self) -> None:
        """Do everything that can be done at this moment. Raises IntrospectionError for a mock that does not fit."""
        for _ in range(self.max_rounds):
            self._until_idle()
            if self._bodies.mistakes:
                raise self._bodies.mistakes.pop(0)
            if not self._bring_what_is_modified():
                return
        raise IntrospectionError(
            f"{BY} The instances do not come to rest: with what was disabled for them they go on for ever. Name the steps "
            "whose sleeps or delays are to be skipped, and let the others wait."
        )

    def move_on(self, until: int | None = None) -> bool:
        """Let time pass to the next moment at which something is due, and do that. False if there is none (until then)."""
        moment = self._next_moment()
        if moment is None or (until is not None and moment > until):
            return False
        self.clock.move_to(moment)
        self.work()
        return True

    def wait_begins(self) -> None:
        self._moves = 0

    def wait_on(self) -> bool:
        """move_on, while a test waits for something. Raises IntrospectionError if that seems to be in vain."""
        self._moves += 1
        if self._moves > self.max_moves:
            raise IntrospectionError(
                f"{BY} The clock was moved {self.max_moves:,} times, and what the test waits for has not come. If it takes so "
                "many sleeps, say how long it may take with `advance`."
            )
        return self.move_on()

    def pass_by(self, duration_ms: int) -> None:
        """Let so much time pass, with everything at its own moment."""
        self.work()
        until = self.clock.now_ms() + duration_ms
        while self.move_on(until):
            pass
        self.clock.move_to(until)
        self.work()

    # --- within

    def _register(self) -> None:
        host.register(self.runtime, with_schedules=self._with_schedules)

    def _until_idle(self) -> None:
        while True:
            busy = self._busy
            run_until_idle(self.runtime, self.doorbell)
            if not busy and not self._busy:
                return
            threading.Event().wait(POLL_S)

    @property
    def _busy(self) -> bool:
        """Whether bodies run that nobody waits for: those of another's attempts report on a thread of their own."""
        return bool(self.runtime.bodies.busy or self.runtime.completions.busy)

    def _next_moment(self) -> int | None:
        now = self.clock.now_ms()
        with self.database.read() as connection:
            moments = [row.due_at for row in timers.waiting(connection, list(self.registry)) if row.due_at > now]
            if self._with_schedules and (tick := agenda.upcoming(connection).schedules) is not None and tick > now:
                moments.append(tick)
        return min(moments, default=None)

    def _bring_what_is_modified(self) -> bool:
        """Whether there was anything: of each instance the one wait that would be over first."""
        if not self.modified:
            return False
        with self.database.read() as connection:
            waiting = timers.waiting(connection, list(self.registry))
        brought: set[int] = set()
        for row in waiting:
            if row.instance_id in brought or row.due_at <= self.clock.now_ms():
                continue
            modifications = self.modified.of(row.workflow, row.id, row.instance_id)
            if modifications is not None and self._bring(row, modifications):
                brought.add(row.instance_id)
        return bool(brought)

    def _bring(self, row: Any, modifications: Modifications) -> bool:
        if (
            (row.kind == StepKind.SLEEP and row.key in modifications.sleeps)
            or (row.kind == RETRY and row.key in modifications.retry_delays)
            or row.key in modifications.event_timeouts
        ):
            self.database.transaction(lambda connection: self._expedite(connection, row))
            return True
        if row.kind == StepKind.WAIT_FOR_EVENT:
            payload = self.modified.next_event(modifications, row.instance_id, row.key, row.event_type)
            if payload is not None:
                return events.send(self.client.desk, row.instance_id, row.event_type, payload)
        return False

    def _expedite(self, connection: Connection, row: Any) -> None:
        if instances.lock(connection, row.instance_id) is not None:
            timers.expedite(connection, row.instance_id, row.key, now=self.clock.now_ms())


class _Patience(LocalNotifier):
    """Whoever waits for an instance with the client of a test lets it work, and lets time pass when nothing is left to do."""

    def __init__(self, engine: EmbeddedEngine) -> None:
        super().__init__()
        self._engine = engine

    def wait(self, instance_pk: int, timeout_s: float) -> None:
        engine = self._engine
        if not engine.is_here:
            super().wait(instance_pk, timeout_s)
            return
        before = self._version
        engine.work()
        if self._version == before and not engine.wait_on():
            raise IntrospectionError(
                f"{BY} Nothing more happens in this test by itself, so what is waited for will not come: nothing sleeps, and "
                "nothing waits for an event that could time out. Is an instance paused?"
            )


def _settings(given: Settings | None, url: str) -> Settings:
    """A timer rings when it is due and not before; functions are replayed whenever they wake, to see whether they can be."""
    chosen = given or Settings(success_retention=FOREVER, error_retention=FOREVER)
    ours = {"database_url": url, "events_url": None, "horizon_ms": 0, "wake_ahead_ms": 0, "hot_instances": 0}
    return chosen.model_copy(update=ours)
