"""Lets a function go on from its sleep before that is over, if that is all it waits for: its next bodies begin on the moment.

A function has no effects of its own, so it may be told of the end of its sleep before that has come, if nothing it asks
for begins before. Its claim is looked at once more right before that: if it does not stand, or there is news, the function
is put away, and whoever comes next replays it. Only in company, where instances are woken that are due together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from orchestrator.authoring.commands import StartTimer
from orchestrator.doorbell import Ring
from orchestrator.engine import endings, waits
from orchestrator.engine.orders import Order
from orchestrator.interrupts import Superseded
from orchestrator.replay.run import WorkflowRun
from orchestrator.statuses import InstanceStatus
from orchestrator.store import steps

if TYPE_CHECKING:
    from orchestrator.engine.activation import Activation


def go_on(activation: Activation) -> bool:
    """Wait for the end of a sleep that is near and go on at once. False if this is nothing for this instance.

    Raises Superseded if there was news meanwhile.
    """
    runtime, book, fence = activation.runtime, activation.book, activation.fence
    due_at = book.next_due
    if (
        due_at is None
        or due_at > runtime.clock.now_ms() + runtime.settings.wake_ahead_ms
        or not _only_sleeps(activation)
    ):
        return False
    stop = waits.Stop(activation, due_at, {})
    keys, lines = [waiting.key for waiting in stop.due], stop.fired()
    stop.enter()
    for line in lines:
        endings.answer(activation, line.entry())
    book.take_up(activation.live, activation.in_place)
    orders = _orders(activation)
    if not activation.in_place.rest((due_at - runtime.clock.now_ms()) / 1000, orders):
        _leave(activation)
    rows = [line.row for line in lines]
    held: Any = runtime.database.statement(lambda connection: steps.fire(connection, fence, None, keys, rows))
    if held is None:
        raise Superseded
    book.seq = held[2]
    if held[0] != book.wanted:
        activation.sync()
    return True


def _only_sleeps(activation: Activation) -> bool:
    runtime, book, live = activation.runtime, activation.book, activation.live
    if runtime.company is None or runtime.stopping.is_set() or not runtime.company.may_rest:
        return False
    if not isinstance(live, WorkflowRun) or len(live.outstanding) != 1 or len(book.timers) != 1 or book.stale_timers:
        return False
    if book.pausing or book.to_be_undone or activation.claim.lost or activation.identity.workflow in runtime.limited:
        return False
    (command,) = live.outstanding.values()
    return isinstance(command, StartTimer) and command.key in book.timers


def _orders(activation: Activation) -> list[Order]:
    """Of the steps that follow, if they are all for this worker's loop."""
    book, own = activation.book, (None, activation.claim.queue)
    if any(command.config.queue not in own for command in book.runnable.values()):
        return []
    commands = book.take_async(activation.runtime.settings.async_concurrency)
    return [activation.in_place.order(command) for command in commands]


def _leave(activation: Activation) -> NoReturn:
    """For others to begin with anew. Raises Superseded."""
    runtime, identity = activation.runtime, activation.identity
    endings.give_back(activation, InstanceStatus.WAITING, delay_ms=runtime.patience_ms)
    runtime.ring(Ring(identity.pk, activation.claim.queue))
    raise Superseded
