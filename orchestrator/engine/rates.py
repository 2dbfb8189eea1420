"""Refuses to create instances faster than the settings allow; without limits it does nothing at all."""

from __future__ import annotations

from sqlalchemy import Connection

from orchestrator.errors import RateLimited
from orchestrator.settings import Settings
from orchestrator.store import rates

_SECOND_US = 1_000_000


def limited(settings: Settings) -> bool:
    return settings.creation_rate is not None or settings.creation_rate_per_workflow is not None


def check(connection: Connection, settings: Settings, workflow: str, count: int, now: int) -> None:
    """Pay for instances that are about to be created or restarted in this transaction. Raises RateLimited.

    A second's worth may come at once. A batch that is larger is let in when nothing is owed, and those after it wait.
    """
    for scope, rate, what in (
        ("", settings.creation_rate, "all workflows together"),
        (workflow, settings.creation_rate_per_workflow, f"workflow {workflow!r}"),
    ):
        if rate is None:
            continue
        cost_us = count * _SECOND_US // rate
        room_us = max(_SECOND_US - cost_us, 0)
        wait_us = rates.take(connection, scope=scope, now_us=now * 1000, cost_us=cost_us, room_us=room_us)
        if wait_us:
            wait_s = wait_us / _SECOND_US
            raise RateLimited(
                f"Instances of {what} may be created at a rate of {rate:,} a second, restarts included; "
                f"try again in {wait_s:.2f} seconds.",
                retry_after_s=wait_s,
            )
