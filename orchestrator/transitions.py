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
    _S.ROLLING_BACK: ("delete",),
    _S.COMPLETE: ("restart", "delete"),
    _S.ERRORED: ("restart", "delete"),
    _S.TERMINATED: ("restart", "delete"),
}
"""What changes something in each status."""
