"""The names that travel in messages: fixed for ever, because a worker discards a message whose name it does not know."""

from __future__ import annotations

from orchestrator.settings import Settings

ADVANCE = "orchestrator.advance"
ADVANCE_TOGETHER = "orchestrator.advance_together"
RUN_STEP = "orchestrator.run_step"


def celery_queue(settings: Settings, queue: str) -> str:
    """The Celery queue of one of our queues; the prefix keeps them apart from the team's own, and from those of another
    deployment on the same broker, whose workers would answer in vain."""
    return f"{settings.queue_prefix}.{queue}"
