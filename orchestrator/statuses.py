"""The words for the states of instances, steps and attempts; append-only, and it must not import anything."""

from __future__ import annotations

from enum import StrEnum


class InstanceStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    ERRORED = "errored"
    TERMINATED = "terminated"
    COMPLETE = "complete"
    WAITING = "waiting"
    WAITING_FOR_PAUSE = "waitingForPause"
    ROLLING_BACK = "rollingBack"


FINITE = frozenset({InstanceStatus.ERRORED, InstanceStatus.TERMINATED, InstanceStatus.COMPLETE})


TRIGGER_CRON = "cron"
TRIGGER_EVENT = "event"
"""What started an instance: a schedule; its id says which and for which moment."""


class StepKind(StrEnum):
    """What an entry of the journal answers. `timer` is asyncio's own: sleep, timeout, wait_for on the workflow's loop.

    `rollback` undoes the `do` of the same name and count.
    """

    DO = "do"
    SLEEP = "sleep"
    WAIT_FOR_EVENT = "waitForEvent"
    TIMER = "timer"
    ROLLBACK = "rollback"


RETRY = "retry"
"""The kind of a timer that waits for the next attempt of a step; the other timers are of a StepKind."""


class StepStatus(StrEnum):
    COMPLETE = "complete"
    ERRORED = "errored"


class AttemptState(StrEnum):
    READY = "ready"
    RUNNING = "running"
    FAILED = "failed"
