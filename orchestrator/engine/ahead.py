"""Runs a function ahead of its journal where it is likely to end: its last step and its end then take one write, not two.

A function has no effects of its own, so it may be told what its step came to before that is stored, if nothing it asks for
begins before. Only where that step is all it waits for: then nobody else can have written what it should have seen first.
And only where the instance before it had come to its end, as what `run` does after its last step is then done while that
has yet to be stored; if it takes its process along, the step is run once more. While a server is already at storing its step,
that is no longer to be feared, and any function goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.engine import endings
from orchestrator.errors import PayloadTooLarge, WorkflowFatalError
from orchestrator.interrupts import Superseded
from orchestrator.replay.journal import UNREAD
from orchestrator.replay.run import WorkflowRun
from orchestrator.store import last_steps, steps

if TYPE_CHECKING:
    from orchestrator.engine.activation import Activation
    from orchestrator.engine.commits import Line


def remember(activation: Activation) -> None:
    """Where this instance has ended, for the next one of its workflow."""
    if isinstance(activation.live, WorkflowRun):
        activation.runtime.lengths[activation.identity.workflow] = activation.live.asked


def is_possible(activation: Activation, lines: Sequence[Line]) -> bool:
    """Whether the function may be run ahead of this write."""
    live, book = activation.live, activation.book
    return (
        len(lines) == 1
        and isinstance(live, WorkflowRun)
        and len(live.outstanding) == 1
        and lines[0].row["key"] in live.outstanding
        and lines[0].value is not UNREAD
        and not (book.has_rows or book.pausing or book.to_be_undone or activation.busy or activation.claim.lost)
    )


def may_be_last(activation: Activation) -> bool:
    """Whether it is worth it before the write is begun."""
    live, runtime = activation.live, activation.runtime
    known = runtime.lengths.get(activation.identity.workflow)
    return isinstance(live, WorkflowRun) and live.asked == known and runtime.settings.events_url is None


def commit(activation: Activation, line: Line) -> bool:
    """Let the function go on with its step, then store the step, with the end if it has come to it. True if it has.

    Raises Superseded if the fence has moved on; then nothing was written, and the function is of no use any more.
    """
    live, book, runtime, fence = activation.live, activation.book, activation.runtime, activation.fence
    live.deliver(line.entry())
    output, now = _output(activation), runtime.clock.now_ms()
    if output is None:
        held = runtime.database.statement(lambda connection: steps.insert_fenced(connection, fence, [line.row]))
        found = None if held is None else (*held, False)
    else:
        found = runtime.database.statement(
            lambda connection: last_steps.end_with(
                connection,
                fence=fence,
                wanted=book.wanted,
                row=line.row,
                output=output,
                now=now,
                keep_ms=runtime.settings.keep_ms(errored=False),
                version=activation.version,
            )
        )
    if found is None:
        raise Superseded
    wanted, _, seq, ended = found
    book.seq = seq
    if ended:
        endings.see_off(activation)
    elif wanted != book.wanted:
        activation.sync()
    else:
        book.take_up(live)
    return ended


def _output(activation: Activation) -> str | None:
    """What `run` has returned, as JSON text; None if it has not, or if that can't be stored."""
    outcome = activation.live.outcome
    if outcome is None or outcome.error is not None:
        return None
    try:
        return endings.output_of(activation, outcome)
    except (WorkflowFatalError, PayloadTooLarge):
        return None  # the step is stored all the same, and what follows is up to the usual end
