"""Starts programs and does to them from outside what they say, through a client that suffers from the same faults."""

from __future__ import annotations

import functools
import heapq
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.client import Client, Instance
from orchestrator.errors import ActionNotAllowed, DatabaseUnavailable, InstanceAlreadyExists, OrchestratorError
from tests.chaos import programs
from tests.chaos.doorbell import FOLDER, SEED
from tests.chaos.programs import Program
from tests.chaos.site import Site

log = logging.getLogger(__name__)

_OPEN = text("SELECT count(*) FROM orchestrator_instances WHERE status NOT IN ('complete', 'errored', 'terminated')")
_UNCOUNTED = text("SELECT count(*) FROM orchestrator_ended")
_WRITING = text("SELECT count(*) FROM orchestrator_streams WHERE state = 'writing'")
T = TypeVar("T")
AGAIN_S = 0.2


@dataclass
class Started:
    program: Program
    instance: Instance


class Crowd:
    def __init__(self, site: Site, seed: int, at_once: int) -> None:
        os.environ |= {FOLDER: str(site.folder), SEED: f"{seed}/crowd"}
        self._site = site
        self._seed = seed
        self._at_once = at_once
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._numbers_of_calls = itertools.count()
        self._pause = threading.Event()
        self._client = Client(site.settings())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos-crowd", daemon=True)
        self.started: dict[int, Started] = {}
        self.slowest_call_s = 0.0

    def start(self) -> None:
        self._thread.start()

    def enough(self) -> None:
        """Start no more; do what is still to be done from outside."""
        self._stop.set()
        self._thread.join(120)

    def unfinished(self) -> int:
        with self._site.database.read() as connection:
            return int(connection.execute(_OPEN).scalar_one())

    def all_is_quiet(self) -> bool:
        """Everything has ended, was counted, and nobody is writing a stream."""
        with self._site.database.read() as connection:
            return not any(connection.execute(query).scalar_one() for query in (_OPEN, _UNCOUNTED, _WRITING))

    def close(self) -> None:
        self._client.close()
        for name in (FOLDER, SEED):
            del os.environ[name]

    def _run(self) -> None:
        while not self._stop.is_set() or self._calls:
            self._do_due()
            try:
                room = 0 if self._stop.is_set() else self._at_once - self.unfinished()
            except (OrchestratorError, SQLAlchemyError):
                room = 0
            for _ in range(min(room, 10)):
                self._begin(programs.generate(self._seed, next(self._numbers)))
            self._pause.wait(0.03)

    def _do_due(self) -> None:
        while self._calls and self._calls[0][0] <= time.monotonic():
            heapq.heappop(self._calls)[2]()

    def _later(self, delay_s: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._calls, (time.monotonic() + delay_s, next(self._numbers_of_calls), call))

    # --- one program

    def _begin(self, program: Program) -> None:
        workflow = self._client.workflow(_CLASSES[program.flavour])
        params = {"op": program.op, "folder": str(self._site.folder)}

        def create() -> Instance:
            try:
                return workflow.create(params, id=program.id)
            except InstanceAlreadyExists:  # it was there before the connection was lost
                return workflow.get(program.id)

        started = self.started[program.number] = Started(program, self._insist(create))
        self._later(program.event_delay_s, lambda: self._send_all(started))
        for pause_at_s, resume_at_s in program.pauses:
            self._later(pause_at_s, lambda: self._try(started.instance.pause))
            self._later(resume_at_s, lambda: self._try(started.instance.resume))
        if program.restart_at_s is not None:
            self._later(program.restart_at_s, lambda: self._restart(started))
        if program.terminate_at_s is not None:
            terminate = functools.partial(started.instance.terminate, rollback=program.undo)
            self._later(program.terminate_at_s, lambda: self._try(terminate))

    def _send_all(self, started: Started) -> None:
        for event_type in started.program.events:
            answer = programs.payload(event_type)
            self._insist(lambda: started.instance.send_event(event_type, answer))  # noqa: B023 - called at once

    def _restart(self, started: Started) -> None:
        """The events that the run before had, and those that it had not read, are not the new run's."""
        try:
            self._insist(started.instance.restart)
        except ActionNotAllowed:  # it is being undone
            self._later(AGAIN_S, lambda: self._restart(started))
            return
        self._later(started.program.event_delay_s, lambda: self._send_all(started))

    def _try(self, action: Callable[[], object]) -> None:
        try:
            self._insist(action)
        except ActionNotAllowed:
            return

    def _insist(self, call: Callable[[], T]) -> T:
        """Call until the database has answered: what was done twice, because an answer was lost, must do no harm."""
        while True:
            began = time.monotonic()
            try:
                answer = call()
            except (DatabaseUnavailable, SQLAlchemyError):
                self._pause.wait(0.05)
                continue
            self.slowest_call_s = max(self.slowest_call_s, time.monotonic() - began)
            return answer


_CLASSES = {"async": "chaos-async", "def": "chaos-def"}
