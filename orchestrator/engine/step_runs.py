"""Running ready steps of an instance that somebody else may hold: the body of the `run_step` task; it decides nothing."""

from __future__ import annotations

import logging
from typing import Any

from orchestrator.authoring.commands import RunStep
from orchestrator.authoring.workflow import Definition
from orchestrator.clock import monotonic
from orchestrator.engine import rollback, sharing
from orchestrator.engine.activation import advance
from orchestrator.engine.book import entry_of
from orchestrator.engine.earlier_runs import Ancestry, ancestry
from orchestrator.engine.functions import new_run
from orchestrator.engine.held_rows import Taken
from orchestrator.engine.offers import Offer
from orchestrator.engine.orders import Identity, Order, Report
from orchestrator.engine.runtime import HotRun, Runtime
from orchestrator.errors import InvalidParams, ReplayMismatch
from orchestrator.store import instances, steps

log = logging.getLogger(__name__)


def run_steps(runtime: Runtime, pk: int) -> None:
    """Take ready steps of an instance, one chunk after another, until none is left; then see whether it can go on.

    Safe to call any number of times, from anywhere, at any time.
    """
    if not runtime.may_start():
        return
    may_go_on = False
    chunk = 1
    taken = runtime.turns.take(pk, None, [], chunk).taken
    while taken:
        orders = _orders(runtime, pk, taken)
        if not orders:
            break
        started = monotonic()
        reports = _run(runtime, orders)
        chunk = sharing.next_chunk(chunk, monotonic() - started)
        turn = runtime.turns.take(pk, orders[0].identity, reports, chunk if runtime.may_start() else 0)
        if reports:
            may_go_on = turn.may_go_on
        taken = turn.taken
        del orders, reports, turn  # what was lost on the way is handed back once nobody refers to it any more
    if may_go_on and runtime.may_start():
        advance(runtime, pk)


def _run(runtime: Runtime, orders: list[Order]) -> list[Report]:
    asynchronous = [order for order in orders if order.command.signature.is_async]
    if asynchronous:
        runtime.start_async(asynchronous, runtime.completions.add)
    reports = []
    for order in orders:
        if not order.command.signature.is_async and runtime.may_begin(order):
            assert order.row is not None
            report = runtime.runner.run_sync(order)
            runtime.rows.ended(order.row, report)
            reports.append((report, order.row))
    return [report for report, row in reports if runtime.rows.take_report(row)]


def _orders(runtime: Runtime, pk: int, taken: list[Taken]) -> list[Order]:
    """Orders for taken steps; none, and the steps handed back, if their bodies can't be found here."""
    run, keys = taken[0].row.run, [step.key for step in taken]
    offer = runtime.offers.find(pk, run, keys)
    if offer is None:
        with runtime.offers.searching(pk):
            offer = runtime.offers.find(pk, run, keys) or _search(runtime, pk, taken)
    if offer is None:
        return []
    known = offer.commands
    if unknown := [step for step in taken if step.key not in known]:
        _give_up(runtime, pk, unknown, "the workflow no longer asks for them")
    return [sharing.order_of(offer.identity, known[step.key], step) for step in taken if step.key in known]


def _search(runtime: Runtime, pk: int, taken: list[Taken]) -> Offer | None:
    """What the function of an instance asks for; None, and the steps handed back, if that can't be found here."""
    with runtime.database.read() as connection:
        row = instances.of_run(connection, pk)
    definition = None if row is None else runtime.registry.get(row.workflow)
    if row is None or definition is None:
        _give_up(runtime, pk, taken, "its workflow is not registered in this worker")
        return None
    if row.run != taken[0].row.run:
        _give_up(runtime, pk, taken, "it has been restarted meanwhile")
        return None
    past = ancestry(runtime.database, row.id, row.run, row.started_at)
    identity = Identity(row.id, row.workflow, row.instance_id, row.created_at, row.run, past.kept)
    try:
        return runtime.offers.put(identity, _driven(runtime, definition, row, past))
    except (ReplayMismatch, InvalidParams) as error:
        _give_up(runtime, pk, taken, str(error))
        return None


def _driven(runtime: Runtime, definition: Definition, row: Any, past: Ancestry) -> list[RunStep]:
    """What the function asks for where its journal ends: driven there without holding the instance."""
    if row.rollback is not None:
        return rollback.commands(runtime, definition, row)
    hot = runtime.hot.take(row.id, row.run)
    if hot is None:
        function = new_run(runtime.database, definition, row, past, runtime.step_limits.get(row.workflow))
        hot = HotRun(row.run, function, 0)
        hot.live.start()
    with runtime.database.read() as connection:
        journal = steps.journal(connection, row.id, row.run, hot.seq)
    for entry in journal:
        hot.seq = entry.seq
        hot.live.deliver(entry_of(entry))
    commands = [command for command in hot.live.outstanding.values() if isinstance(command, RunStep)]
    runtime.hot.put(row.id, hot)
    return commands


def _give_up(runtime: Runtime, pk: int, taken: list[Taken], why: str) -> None:
    log.warning("steps %s of instance %d are handed back: %s", [step.key for step in taken], pk, why)
    sharing.hand_back_rows(runtime, [step.held.id for step in taken])
