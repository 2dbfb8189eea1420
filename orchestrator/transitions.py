"""What may be done to an instance in each status: one table for those who act and those who show; it acts on nothing."""

from __future__ import annotations

from orchestrator.statuses import InstanceStatus

_S = InstanceStatus

ALLOWED: dict[InstanceStatus, tuple[str, ...]] = {
    _S.QUEUED: ("pause", "terminate", "restart", "send_event", "delete"),
    _S.RUNNING: ("pause", "terminate", "restart", "send_event", "delete"),
    _S.WAITING: ("pause", "terminate", "restart", "send_event", "delete"),
    _S.WAITING_FOR_PAUSE: ("resume", "terminate", "restart", "send_event", "delete"),
    _S.PAUSED: ("resume", "terminate", "restart", "send_event", "delete"),
    _S.ROLLING_BACK: ("pause", "terminate", "delete"),
    _S.COMPLETE: ("restart", "delete"),
    _S.ERRORED: ("restart", "delete"),
    _S.TERMINATED: ("restart", "delete"),
}
"""What changes something in each status."""


def allowed(status: InstanceStatus, *, undone: bool = False) -> tuple[str, ...]:
    """What changes something in this status; `undone`: there is a rollback that has not come to its end.

    A rollback may be paused, and given up by terminating the instance once more. It can't be restarted in the middle:
    a new run would meet what the old one has left half undone. Events come too late for it.
    """
    if undone and status in (_S.PAUSED, _S.WAITING_FOR_PAUSE):
        return tuple("resume" if action == "pause" else action for action in ALLOWED[_S.ROLLING_BACK])
    return ALLOWED[status]
