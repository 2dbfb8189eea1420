"""Takes instances that nobody has: one, or many at once with what there is to be read of them; it drives none."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from orchestrator.engine import publishing
from orchestrator.errors import DatabaseUnavailable
from orchestrator.store import instances, missed

if TYPE_CHECKING:
    from orchestrator.engine.runtime import Runtime

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """An instance to go on with, and what is there of it already, if anything is."""

    pk: int
    claim: Any = None
    """Its row, if this worker has just claimed it."""
    missed: missed.Missed | None = None
    """What was read of it after that."""

    @property
    def key(self) -> tuple[int, int | None]:
        """By which a supervisor knows the claim."""
        return self.pk, None if self.claim is None else self.claim.fence


def claim_free(runtime: Runtime, pk: int) -> Any:
    """Claim an instance that nobody has and that needs no slot: its row; None if it can't be had like that."""
    now, worker, limited = runtime.clock.now_ms(), runtime.worker_id, runtime.limited
    if runtime.settings.events_url is None:
        return runtime.database.statement(lambda c: instances.claim(c, id=pk, worker=worker, now=now, limited=limited))

    def work(connection: Connection) -> Any:
        claim = instances.claim(connection, id=pk, worker=worker, now=now, limited=limited)
        if claim is not None and claim.started_at == now:
            publishing.note(runtime.settings, connection, pk, publishing.STARTED, now)
        return claim

    return runtime.database.transaction(work)


def take_all(runtime: Runtime, pks: Sequence[int]) -> list[Taken]:
    """All of them in their order, those that could be had at once with what they have missed: the others are to be tried
    one by one. Raises DatabaseUnavailable, after which some may be held by this worker; its supervisor sees to them.
    """
    if len(pks) < 2 or runtime.settings.events_url is not None:
        return [Taken(pk) for pk in pks]
    now, worker, limited = runtime.clock.now_ms(), runtime.worker_id, runtime.limited
    rows = runtime.database.statement(
        lambda c: instances.claim_all(c, ids=pks, worker=worker, now=now, limited=limited)
    )
    claims = {row.id: row for row in rows}
    # A new instance has missed nothing.
    woken = [(row.id, row.fence, runtime.hot.seen(row.id, row.run)) for row in rows if row.fence > 1]
    runtime.taken.update((row.id, row.fence) for row in rows)
    found: dict[int, missed.Missed] = {}
    if woken:
        try:
            with runtime.database.read() as connection:
                found = missed.read_all(connection, woken)
        except DatabaseUnavailable as error:
            log.info("each instance reads for itself, and is handed back if it can't: %s", error)
        except Exception:
            log.exception("what %d instances have missed could not be read at once; each reads for itself", len(woken))
    # One that is given twice is claimed once: for the second it is held by somebody, as if that were another worker.
    return [Taken(pk, claims.pop(pk, None), found.pop(pk, None)) for pk in pks]
