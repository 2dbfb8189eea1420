"""The names that travel in messages: fixed for ever, because a worker discards a message whose name it does not know."""

from __future__ import annotations

ADVANCE = "orchestrator.advance"
RUN_STEP = "orchestrator.run_step"

_QUEUE_PREFIX = "orchestrator."


def celery_queue(queue: str) -> str:
    """The Celery queue of one of our queues; the prefix keeps them apart from the team's own on the same broker."""
    return _QUEUE_PREFIX + queue
