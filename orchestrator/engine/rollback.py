"""Undoing what an instance has done: begun by its holder, carried on by whoever claims it; it runs no handler itself.

The row's `rollback` says that it is to be undone, and for what. First whoever holds it collects what is under way
(`collect`): from then on nothing of the workflow starts any more. What runs is waited for, so that no handler meets the
body it undoes. Then the handlers run one by one, as steps do, with a RollbackRun in the place of the function.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy import Connection

from orchestrator.authoring.commands import RunStep
from orchestrator.authoring.policy import stored_config
from orchestrator.authoring.workflow import Definition
from orchestrator.engine import book as books
from orchestrator.engine import endings, publishing
from orchestrator.engine.completions import attempt_row
from orchestrator.engine.earlier_runs import ancestry
from orchestrator.engine.functions import new_run
from orchestrator.engine.orders import Identity, context_of
from orchestrator.errors import DatabaseUnavailable, Terminated, WorkerLostError
from orchestrator.interrupts import Superseded
from orchestrator.names import split_key
from orchestrator.replay.rollback import RollbackRun, Undo, gather
from orchestrator.replay.run import WorkflowRun
from orchestrator.serialization import decode, encode, encode_error
from orchestrator.statuses import AttemptState, InstanceStatus, StepKind
from orchestrator.store import attempts, instances, steps, timers

if TYPE_CHECKING:
    from orchestrator.engine.activation import Activation
    from orchestrator.engine.orders import Order
    from orchestrator.engine.runtime import Runtime

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """What stands in the row's `rollback`."""

    ends: str
    """The status the instance ends in."""
    error: dict[str, Any]
    """What it is undone for."""
    collected: bool = False
    outcome: str | None = None
    failure: dict[str, Any] | None = None

    @classmethod
    def read(cls, text: str) -> Plan:
        return cls(**decode(text))

    def text(self, **changes: Any) -> str:
        fields = ("ends", "error", "collected", "outcome", "failure")
        return encode({**{name: getattr(self, name) for name in fields}, **changes})


def requested() -> Plan:
    """For an instance that is terminated and undone."""
    message = "Instance terminated during rollback"
    return Plan(InstanceStatus.TERMINATED, encode_error(Terminated(message)))


def given_up(text: str) -> str:
    """What stands in the row when a rollback was terminated in its turn."""
    message = "The rollback was terminated before it had come to its end"
    return Plan.read(text).text(outcome="failed", failure=encode_error(Terminated(message)))


# --- beginning


def is_due(activation: Activation) -> bool:
    """Whether the function has failed and a step that has begun can be undone."""
    live, book = activation.live, activation.book
    if not isinstance(live, WorkflowRun) or live.outcome is None or live.outcome.error is None:
        return False
    return any(
        key not in live.outstanding
        or key in activation.in_place
        or key in book.failed
        or (key in book.remote and book.remote[key].state == AttemptState.RUNNING)
        for key in live.to_undo
    )


def collect(activation: Activation, error: BaseException | None = None) -> NoReturn:
    """Give the claim back with everything that runs written down and everything that only waits dropped.

    Raises Detached when that is done, for the next claim to begin, and Superseded if the fence has moved on.
    """
    runtime, identity = activation.runtime, activation.identity
    orders = list(activation.in_place.values())
    now = runtime.clock.now_ms()

    def work(connection: Connection) -> list[tuple[Order, int]]:
        held = instances.fenced(connection, id=identity.pk, fence=activation.fence)
        if held is None:
            return _written_before(connection, activation, orders)
        if held.rollback is not None:
            plan, stored = Plan.read(held.rollback), None
        else:
            plan = Plan(InstanceStatus.ERRORED, encode_error(error or Superseded()))
            stored = encode(plan.error)
        made = []
        for order in orders:
            if order.row_id is None:
                order.started_at = order.started_at or now
                row = attempt_row(order, activation.claim.queue, runtime.worker_id)
                made.append((order, attempts.insert_running(connection, row)))
        timers.delete_all(connection, identity.pk)
        attempts.drop_ready(connection, identity.pk, identity.run)
        instances.begin_rollback(
            connection,
            id=identity.pk,
            fence=activation.fence,
            rollback=plan.text(collected=True),
            error=stored,
            ring_at=now + runtime.patience_ms,
            now=now,
            version=activation.version,
        )
        return made

    try:
        made = runtime.database.transaction(work)
    except DatabaseUnavailable:
        made = runtime.database.transaction(work)  # perhaps only the answer was lost
    for order, row_id in made:
        order.row = order.row or runtime.rows.hold(row_id, identity.pk)
        order.deadline_written = True
    activation.in_place.mark_detached()
    runtime.offers.drop(identity.pk, identity.run)
    activation.keep_hot()
    runtime.changed(identity.pk)
    activation.in_place.leave()


def _written_before(connection: Connection, activation: Activation, orders: Sequence[Order]) -> list[tuple[Order, int]]:
    """The rows of the orders, if this was done already and the answer was lost. Raises Superseded if it was not."""
    identity, worker = activation.identity, activation.runtime.worker_id
    rows = {
        (row.key, row.attempt): row.id
        for row in attempts.of_run(connection, identity.pk, identity.run)
        if row.state == AttemptState.RUNNING and row.worker == worker
    }
    found = [(order, rows[order.command.key, order.attempt]) for order in orders
             if (order.command.key, order.attempt) in rows]  # fmt: skip
    if len(found) < len(orders):
        raise Superseded
    return found


# --- carrying on


def take_up(activation: Activation, definition: Definition) -> bool:
    """Find out what is left to undo. False if it must wait: steps still run, and the claim was given back."""
    runtime, identity, book = activation.runtime, activation.identity, activation.book
    while True:
        live, seq = build(runtime, definition, activation.claim, Plan.read(activation.claim.rollback))
        if live is not None:
            break
        now = runtime.clock.now_ms()
        if runtime.database.statement(
            lambda connection: instances.release(
                connection, id=identity.pk, fence=activation.fence, wanted=book.wanted, status=book.status, now=now  # noqa: B023
            )
        ):  # fmt: skip
            runtime.changed(identity.pk)
            return False
        with runtime.database.read() as connection:
            held = instances.peek(connection, id=identity.pk, fence=activation.fence)
        if held is None:
            raise Superseded
        book.wanted, book.status = held.wanted, InstanceStatus(held.status)
    activation.live, book.seq = live, seq
    live.start()
    activation.sync()
    return True


def commands(runtime: Runtime, definition: Definition, row: Any) -> list[RunStep]:
    """The handler that is next, for a worker that runs it without holding the instance."""
    live, _ = build(runtime, definition, row, Plan.read(row.rollback))
    if live is None:
        return []
    live.start()
    return [command for command in live.outstanding.values() if isinstance(command, RunStep)]


def build(runtime: Runtime, definition: Definition, row: Any, plan: Plan) -> tuple[RollbackRun | None, int]:
    """The rollback as far as the tables say it has come, and the last entry it knows of; None while steps still run.

    Raises InvalidParams, as `new_run`.
    """
    with runtime.database.read() as connection:
        # The journal last, as in Book.read: what is settled in between must not be missing from both.
        tried = attempts.of_run(connection, row.id, row.run)
        journal = steps.whole(connection, row.id, row.run)
    own = [attempt for attempt in tried if _kind(attempt) == StepKind.DO]
    if any(attempt.state == AttemptState.RUNNING for attempt in own):
        return None, 0
    if any(attempt.state == AttemptState.READY for attempt in own):
        _charge_handed_back(runtime, row)
    past = ancestry(runtime.database, row.id, row.run, row.started_at)
    identity = Identity(row.id, row.workflow, row.instance_id, row.created_at, row.run, past.kept)
    hot = runtime.hot.take(row.id, row.run)
    if hot is None or not isinstance(hot.live, WorkflowRun):
        function = new_run(runtime.database, definition, row, past, runtime.step_limits.get(row.workflow))
        function.start()
    else:
        function = hot.live
    undo = {attempt.key: _undo(identity, attempt, attempt.attempt, None) for attempt in own if _can_be_undone(attempt)}
    undo |= {
        entry.key: _undo(identity, entry, entry.attempts, entry.result) for entry in journal if _can_be_undone(entry)
    }
    gather(function, [books.entry_of(entry) for entry in journal], undo)
    # A step that was given up may have begun, and its body may have come to anything: it leaves no trace of its own.
    for key in set(function.given_up) & function.to_undo.keys() - undo.keys():
        step = function.to_undo[key]
        context = context_of(identity, key, step.position, 1, step.config)
        undo[key] = Undo(step.name, step.count, step.position, step.config, None, context)
    function.close()
    settled = {entry.key: entry for entry in journal if _kind(entry) == StepKind.ROLLBACK}
    left = [step for key, step in undo.items() if f"{StepKind.ROLLBACK}{key[len(StepKind.DO) :]}" not in settled]
    failures = [decode(entry.error) for entry in settled.values() if entry.error is not None]
    run = RollbackRun(function, left, plan.error, failed=failures[0] if failures else None, empty=not undo)
    return run, journal[-1].seq if journal else 0


def _kind(row: Any) -> str:
    return split_key(row.key)[0]


def _can_be_undone(row: Any) -> bool:
    """Whether the step of an attempt, or of an entry of the journal, had a handler when it began."""
    return _kind(row) == StepKind.DO and stored_config(row.config).rollback is not None


def _undo(identity: Identity, known: Any, attempt: int, result: str | None) -> Undo:
    config = stored_config(known.config)
    _, name, count = split_key(known.key)
    context = context_of(identity, known.key, known.position, attempt, config)
    return Undo(name, count, known.position, config, result, context)


def _charge_handed_back(runtime: Runtime, row: Any) -> None:
    """Steps that this worker or another had taken and lost: they may have begun, and are not run any more."""
    now, error = runtime.clock.now_ms(), encode(encode_error(WorkerLostError()))

    def work(connection: Connection) -> None:
        if instances.fenced(connection, id=row.id, fence=row.fence) is not None:
            attempts.fail_ready(connection, row.id, row.run, error=error, now=now)

    runtime.database.transaction(work)


# --- ending


def end(activation: Activation) -> None:
    """Every handler has run, or one has failed for good. Raises Superseded if the fence has moved on."""
    live = activation.live
    assert isinstance(live, RollbackRun)
    assert live.outcome is not None
    plan = Plan.read(activation.claim.rollback)
    if live.empty:
        _end(activation, plan, None)
    elif live.outcome.error is None:
        _end(activation, plan, plan.text(outcome="complete"))
    else:
        fail(activation, live.outcome.error)


def fail(activation: Activation, error: BaseException) -> None:
    """The rollback can't go on; the instance ends as it would have, with what it is undone for."""
    plan = Plan.read(activation.claim.rollback)
    identity = activation.identity
    log.error("the rollback of %s/%s failed: %s", identity.workflow, identity.instance_id, type(error).__name__)
    _end(activation, plan, plan.text(outcome="failed", failure=encode_error(error)))


def _end(activation: Activation, plan: Plan, text: str | None) -> None:
    runtime, identity = activation.runtime, activation.identity
    now = runtime.clock.now_ms()

    def work(connection: Connection) -> bool:
        ended = instances.end_rollback(
            connection, id=identity.pk, fence=activation.fence, status=plan.ends, rollback=text, now=now,
            keep_ms=runtime.settings.keep_ms(errored=plan.ends == InstanceStatus.ERRORED),
            version=activation.version,
        )  # fmt: skip
        if ended:
            publishing.note(runtime.settings, connection, identity.pk, publishing.ENDED[InstanceStatus(plan.ends)], now)
            timers.delete_all(connection, identity.pk)
            attempts.drop_open(connection, identity.pk)
        return ended

    ended = runtime.database.transaction(work)
    activation.in_place.close()
    runtime.offers.drop(identity.pk, identity.run)
    if not ended:
        raise Superseded
    runtime.changed(identity.pk)
    endings.let_next_in(activation)
