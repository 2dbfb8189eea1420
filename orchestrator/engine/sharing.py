"""Steps put up for whoever comes: published as ready rows, taken one after another by any worker, the holder included."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from orchestrator.authoring.commands import RunStep
from orchestrator.authoring.policy import stored_config
from orchestrator.clock import monotonic
from orchestrator.doorbell import Ring
from orchestrator.engine.commits import write_attempts
from orchestrator.engine.completions import attempt_row
from orchestrator.engine.held_rows import Taken
from orchestrator.engine.orders import Identity, Order
from orchestrator.engine.runtime import Runtime
from orchestrator.engine.turns import claim
from orchestrator.statuses import AttemptState
from orchestrator.store import attempts, instances

if TYPE_CHECKING:
    from orchestrator.engine.activation import Activation
    from orchestrator.engine.orders import Report

log = logging.getLogger(__name__)

ALONE_S = 0.001
"""How long a holder works at a batch alone before others are rung, if after that it does not know that its bodies are quick.
With 5 ms, 100 `def` bodies took 1.01 times as long where each blocks for 50 ms."""
IDLE_S = 0.02
"""The same if it does not even come to begin one."""
QUICK_ALONE_S = 0.05
"""The same for bodies that are: threads of one process would only be in each other's way, and what there is to do is mostly
done by then. Then it is other processes that can be of use."""
FAST_S = 0.004
MAX_CHUNK = 64


def publish(activation: Activation) -> None:
    """Put up the steps that others may run, in one transaction, and ring as many as can be of use."""
    book, runtime, claim = activation.book, activation.runtime, activation.claim
    commands = book.take_shared(claim.queue)
    if not commands:
        return
    now = runtime.clock.now_ms()
    ring_at = now + runtime.settings.grace_ms
    rows = [_ready_row(activation, command, ring_at) for command in commands]

    for command, row in zip(commands, rows, strict=True):
        book.remote[command.key] = _Ready(command.key, row["queue"])
    write_attempts(activation, rows)
    runtime.offers.put(activation.identity, commands)
    for queue in {row["queue"] for row in rows}:
        count = sum(row["queue"] == queue for row in rows)
        if queue in runtime.queues:
            activation.helping, activation.chunk = True, 1
            if count > 1:
                activation.helpers = Helpers(activation, queue, count - 1)
        else:
            runtime.ring(*[Ring(claim.id, queue, "run_step")] * min(count, runtime.slots))


def help_out(activation: Activation) -> list[Report]:
    """Take some of the ready steps of the instance and run them here, as many at a time as are done in a moment."""
    runtime, identity = activation.runtime, activation.identity
    commands = activation.live.outstanding
    limit = activation.chunk
    taken = claim(runtime, identity.pk, limit)
    orders = []
    if taken and activation.helpers is not None:
        activation.helpers.begin()
    for step in taken:
        command = commands.get(step.key)
        if isinstance(command, RunStep) and step.row.run == identity.run:
            order = order_of(identity, command, step)
            activation.in_place[command.key] = order
            activation.book.remote.pop(command.key, None)
            orders.append(order)
    if len(taken) < limit:
        activation.helping = False
    started = monotonic()
    asynchronous = [order for order in orders if order.command.signature.is_async]
    if asynchronous:
        activation.in_place.start(asynchronous)
    reports = activation.in_place.run_here([order for order in orders if not order.command.signature.is_async])
    activation.chunk = next_chunk(limit, monotonic() - started)
    if activation.chunk == 1 and activation.helpers is not None:
        activation.helpers.call()
    return reports


def next_chunk(limit: int, took_s: float) -> int:
    """Four times as many at once while they are quick, one at a time where they are not, so that others get theirs."""
    return min(limit * 4, MAX_CHUNK) if took_s < FAST_S else 1


def hand_back(runtime: Runtime, rows: Mapping[int, int]) -> None:
    """Steps that were taken and are not finished (rows, each with its instance) are for others again, who are told."""
    queues = hand_back_rows(runtime, list(rows))
    ready = Counter((pk, queues[id]) for id, pk in rows.items() if id in queues)
    runtime.ring(
        *(Ring(pk, queue, "run_step") for (pk, queue), count in ready.items() for _ in range(min(count, runtime.slots)))
    )


def hand_back_rows(runtime: Runtime, ids: list[int]) -> dict[int, str]:
    """The queues of those that were this worker's; the pumps of others tell everybody when the grace is over."""
    if not ids:
        return {}
    later = runtime.clock.now_ms() + runtime.patience_ms

    def work(connection: Connection) -> dict[int, str]:
        instances.want_held_up(connection, ids, ring_at=later)
        queues = {id: attempts.make_ready(connection, id, runtime.worker_id, ring_at=later) for id in ids}
        return {id: queue for id, queue in queues.items() if queue is not None}

    return runtime.database.transaction(work)


def order_of(identity: Identity, command: RunStep, taken: Taken) -> Order:
    """The order for a claimed step, which waits for its turn from now on."""
    row = taken.row
    taken.held.waits_since = monotonic()
    return Order(identity, command, row.attempt, stored_config(row.config), row=taken.held, started_at=row.started_at)


def _ready_row(activation: Activation, command: RunStep, ring_at: int) -> dict[str, Any]:
    order = activation.in_place.order(command)
    del activation.in_place[command.key]
    row = attempt_row(order, activation.claim.queue, None)
    return {**row, "state": AttemptState.READY, "started_at": None, "deadline_at": None, "ring_at": ring_at}


class Helpers:
    """Others who may come to a batch: not before it is known to take more than a moment, as a message costs more than that."""

    def __init__(self, activation: Activation, queue: str, count: int) -> None:
        self._activation = activation
        self._runtime = activation.runtime
        self._queue = queue
        self._count = count
        """Of the steps that are for them."""
        self._begun = self._looked = self._called = False
        self._runtime.later(IDLE_S, self._look)

    def begin(self) -> None:
        """The first body begins."""
        if not self._begun:
            self._begun = True
            self._runtime.later(ALONE_S, self._look)

    def call(self) -> None:
        """As many as can be of use, for bodies that are not quick or that the holder does not come to."""
        if self._called:
            return
        self._called = True
        if self._count >= self._runtime.slots:
            self._runtime.count_slots()  # others may have come since the last heartbeat, as where all are started together
        self._ring(max(self._runtime.slots - 1, 1))

    def _look(self) -> None:
        if self._looked or not self._activation.helping:
            return
        self._looked = True
        if self._activation.chunk == 1:
            self.call()
        else:
            self._runtime.later(QUICK_ALONE_S, self._call_processes)

    def _call_processes(self) -> None:
        if self._activation.helping and not self._called:
            self._runtime.count_slots()
            self._ring(self._runtime.slots // self._runtime.settings.concurrency - 1)

    def _ring(self, most: int) -> None:
        ring = Ring(self._activation.identity.pk, self._queue, "run_step")
        self._runtime.ring(*[ring] * min(self._count, most))


class _Ready:
    """Stands in the book for a row that was just put up."""

    def __init__(self, key: str, queue: str) -> None:
        self.key = key
        self.queue = queue
        self.state = AttemptState.READY
