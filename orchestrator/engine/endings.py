"""How a holder lets go of its instance: finished, failed, waiting, paused, or handed back for others to go on with."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from orchestrator.doorbell import Ring
from orchestrator.engine import ahead, publishing, rollback, slots
from orchestrator.engine.completions import attempt_row
from orchestrator.errors import (
    InvalidStepReadableStreamError,
    NotSerializableError,
    OrchestratorError,
    PayloadTooLarge,
    StorageLimitExceeded,
    WorkerLostError,
    WorkflowFatalError,
)
from orchestrator.interrupts import Superseded
from orchestrator.replay.journal import Entry
from orchestrator.replay.run import Outcome
from orchestrator.serialization import check_readable, check_size, decode_error, encode, encode_error
from orchestrator.statuses import AttemptState, InstanceStatus
from orchestrator.store import attempts, history, instances, steps, timers, workers

if TYPE_CHECKING:
    from orchestrator.engine.activation import Activation
    from orchestrator.engine.orders import Order

log = logging.getLogger(__name__)

ROUND_MS = 200
"""How soon an instance that this worker does not know is tried by whoever is rung next."""
EARLY_MS = 1000
"""More than the clocks of two workers ever differ by, as each follows the database's."""


def finish(activation: Activation) -> None:
    """The function has ended. Raises Superseded if the fence has moved on."""
    outcome = activation.live.outcome
    assert outcome is not None
    if outcome.error is not None:
        fail(activation, outcome.error)
        return
    try:
        output = output_of(activation, outcome)
    except (WorkflowFatalError, PayloadTooLarge) as error:
        fail(activation, error)
        return
    _end(activation, InstanceStatus.COMPLETE, output, None)


def output_of(activation: Activation, outcome: Outcome) -> str:
    """The JSON text of what `run` has returned. Raises WorkflowFatalError, PayloadTooLarge."""
    definition = activation.live.definition
    what = f"The output of workflow {definition.name!r}"
    text = encode(outcome.value, definition.output_adapter, what=what)
    return check_readable(check_size(text, what, activation.runtime.settings.max_payload_bytes), what)


def answer(activation: Activation, entry: Entry) -> None:
    """Let the function go on with an answer, unless it ends the instance whatever the code would do about it.

    Raises Superseded after that.
    """
    if entry.error is not None and entry.error.get("fatal"):
        command = activation.live.outstanding.get(entry.key)
        name = entry.key if command is None else command.name
        fail(activation, _fatal(name, decode_error(entry.error)))
        raise Superseded
    activation.live.deliver(entry)


def _fatal(step: str, error: Exception) -> Exception:
    """What an instance ends with that a step's output has ended."""
    if isinstance(error, StorageLimitExceeded):
        return error
    ended = f'The execution of the Workflow instance was terminated, as the step "{step}" returned '
    if isinstance(error, InvalidStepReadableStreamError):
        return type(error)(f"{ended}an invalid ReadableStream output. {error}")
    return NotSerializableError(f"{ended}a value which is not serialisable: {error}")


def fail(activation: Activation, error: BaseException) -> None:
    """End the instance with an error; its finished steps stay stored."""
    if not isinstance(error, Exception) or isinstance(error, OrchestratorError):
        log.info("%s/%s ends with %r", activation.identity.workflow, activation.identity.instance_id, error)
    else:
        log.info(
            "%s/%s ends with an error of its own", activation.identity.workflow, activation.identity.instance_id,
            exc_info=error,
        )  # fmt: skip
    _end(activation, InstanceStatus.ERRORED, None, encode(encode_error(error)))


def _end(activation: Activation, status: InstanceStatus, output: str | None, error: str | None) -> None:
    runtime, identity, book = activation.runtime, activation.identity, activation.book
    now = runtime.clock.now_ms()

    def work(connection: Connection) -> bool:
        ended = instances.finish(
            connection, id=identity.pk, fence=activation.fence, status=status, output=output, error=error, now=now,
            version=activation.version,
            keep_ms=runtime.settings.keep_ms(errored=status == InstanceStatus.ERRORED),
        )  # fmt: skip
        if ended:
            publishing.note(runtime.settings, connection, identity.pk, publishing.ENDED[status], now)
        if ended and left_over:
            timers.delete_all(connection, identity.pk)
            attempts.drop_open(connection, identity.pk)
        return ended

    # An instance that failed before its book was read may have anything.
    left_over = (
        status != InstanceStatus.COMPLETE
        or book.has_rows
        or any(order.row_id is not None for order in activation.in_place.values())
    )
    several = left_over or runtime.settings.events_url is not None
    run = runtime.database.transaction if several else runtime.database.statement
    if not run(work):
        rollback.collect(activation)  # it was asked for meanwhile, unless the fence has moved on
    if status == InstanceStatus.COMPLETE:
        ahead.remember(activation)
    see_off(activation)


def see_off(activation: Activation) -> None:
    """After the end of an instance is stored."""
    runtime, identity = activation.runtime, activation.identity
    activation.in_place.close()
    if hasattr(activation, "live"):
        activation.live.close()
    runtime.offers.drop(identity.pk, identity.run)
    runtime.changed(identity.pk)
    let_next_in(activation)


def let_go(activation: Activation) -> bool:
    """Release the claim of an instance that can't go on by itself. False if there was news, which has been read."""
    runtime, identity, book, live = activation.runtime, activation.identity, activation.book, activation.live
    if not live.outstanding and not book.pausing:
        live.outcome = Outcome(error=WorkflowFatalError(
            "The workflow waits for something that nothing can bring: it awaits neither a step, a sleep nor an event. "
            "Perhaps a future, a lock or a queue of its own that no task of it will ever set."
        ))  # fmt: skip
        return False
    now = runtime.clock.now_ms()
    status = InstanceStatus.RUNNING if book.remote else InstanceStatus.WAITING
    if book.being_undone:
        status = InstanceStatus.ROLLING_BACK
    running = [row for row in book.remote.values() if row.state == AttemptState.RUNNING]
    if book.pausing:
        status = InstanceStatus.WAITING_FOR_PAUSE if running else InstanceStatus.PAUSED

    def work(connection: Connection) -> bool:
        released = instances.release(
            connection, id=identity.pk, fence=activation.fence, wanted=book.wanted, status=status, now=now,
            version=activation.version,
        )  # fmt: skip
        if released and status == InstanceStatus.PAUSED:
            timers.freeze(connection, identity.pk)
            history.note(connection, identity.pk, identity.run, "workflow_paused", now)
            publishing.note(runtime.settings, connection, identity.pk, publishing.PAUSED, now)
        return released

    run = runtime.database.transaction if status == InstanceStatus.PAUSED else runtime.database.statement
    if not run(work):
        activation.sync()
        return False
    activation.keep_hot()
    runtime.changed(identity.pk)
    if status not in slots.OCCUPYING:
        let_next_in(activation)
    if book.timers and not book.pausing:
        _ring_again(activation)
    return True


def let_next_in(activation: Activation) -> None:
    """Who waits for the slot that has become free is rung for at once."""
    runtime, workflow = activation.runtime, activation.identity.workflow
    if workflow in runtime.limited:
        now = runtime.clock.now_ms()
        runtime.ring(*slots.freed(runtime.database, workflow, now=now, grace_ms=runtime.settings.grace_ms))


def _ring_again(activation: Activation) -> None:
    """A countdown that found this claim in its way, or came a little early by another worker's clock, is spent: without
    another one the timer would wait for the pump's patience with a lost message."""
    runtime = activation.runtime
    now = runtime.clock.now_ms()
    due_at = activation.book.missed(now, runtime.settings.wake_ahead_ms + EARLY_MS)
    if due_at is not None:
        runtime.ring(Ring(activation.identity.pk, activation.claim.queue, delay_ms=max(due_at - now, 0)))


def give_back(activation: Activation, status: str, *, delay_ms: int, went_on: bool = False) -> None:
    """Let go in the middle of things; the pump rings again after `delay_ms` if nobody has come before."""
    runtime, identity = activation.runtime, activation.identity
    ring_at = runtime.clock.now_ms() + delay_ms
    runtime.database.statement(
        lambda connection: instances.give_back(
            connection,
            id=identity.pk,
            fence=activation.fence,
            status=status,
            ring_at=ring_at,
            went_on=went_on,
            version=activation.version,
        )
    )


def give_back_unfinished(activation: Activation, error: Exception, in_flight: list[Order]) -> None:
    """Let go after a failure of our own, perhaps of a commit whose answer was lost, so nothing in memory can be trusted.

    Each body that had begun has cost its attempt, unless what it came to was stored after all.
    """
    runtime, identity, worker = activation.runtime, activation.identity, activation.runtime.worker_id
    now = runtime.clock.now_ms()
    reason = encode(encode_error(WorkerLostError(f"What came of this attempt could not be stored: {error}")))

    def work(connection: Connection) -> None:
        if instances.fenced(connection, id=identity.pk, fence=activation.fence) is None:
            return
        stored = {entry.key for entry in steps.journal(connection, identity.pk, identity.run)}
        noted = {(row.key, row.attempt) for row in attempts.of_run(connection, identity.pk, identity.run)}
        for order in in_flight:
            if order.row_id is not None:
                if order.begun:
                    attempts.fail(connection, order.row_id, worker, error=reason, now=now)
                else:
                    attempts.make_ready(connection, order.row_id, worker, ring_at=now)
            elif order.begun and order.command.key not in stored and (order.command.key, order.attempt) not in noted:
                row = {**attempt_row(order, activation.claim.queue, worker), "state": AttemptState.FAILED}
                attempts.insert(connection, [{**row, "deadline_at": None, "ended_at": now, "error": reason}])
        later = now + max(runtime.settings.grace_ms, 1000)
        instances.give_back(
            connection, id=identity.pk, fence=activation.fence, status=activation.book.status, ring_at=later,
            version=activation.version,
        )  # fmt: skip

    runtime.database.transaction(work)


def leave_to_others(activation: Activation) -> None:
    """This worker does not know the workflow: leave it to one that does, and say so."""
    log.error(
        "workflow %r of instance %r is not registered in this worker (it knows %s); leaving it to others. "
        "Start a worker with the application that has it.",
        activation.identity.workflow, activation.identity.instance_id, ", ".join(activation.runtime.registry) or "none",
    )  # fmt: skip
    runtime, identity = activation.runtime, activation.identity
    with runtime.database.read() as connection:
        others = [json.loads(row.info) for row in workers.all_(connection)]
    known = any(identity.workflow in other.get("workflows", ()) for other in others)
    delay_ms = runtime.settings.grace_ms if known else max(6 * runtime.settings.grace_ms, 1000)
    ring_at = runtime.clock.now_ms() + delay_ms
    if not runtime.database.statement(
        lambda connection: instances.put_back(connection, id=identity.pk, fence=activation.fence, ring_at=ring_at)
    ):
        give_back(activation, activation.book.status, delay_ms=delay_ms)
    if known:
        # As in a rolling deployment: the next ring may reach one of those, and until then it goes round.
        runtime.ring(Ring(identity.pk, activation.claim.queue, delay_ms=ROUND_MS))
