"""What follows when an attempt has failed: decided in one place, for every way an attempt can fail; pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from orchestrator.authoring.policy import StepConfig
from orchestrator.errors import NonRetryableError, WorkflowFatalError

_jitter = Random()


@dataclass(slots=True, frozen=True)
class Retry:
    """Run it again, not before `due_at` (epoch ms)."""

    due_at: int


@dataclass(slots=True, frozen=True)
class AskDelay:
    """Run it again, once its delay function has said when."""


@dataclass(slots=True, frozen=True)
class GiveUp:
    """The step has failed for good."""


_FINAL_CODES = frozenset(
    {NonRetryableError.code, WorkflowFatalError.code, *(cls.code for cls in WorkflowFatalError.__subclasses__())}
)


def after_failure(
    config: StepConfig,
    attempt: int,
    error: dict[str, Any],
    failed_at: int,
    *,
    retryable: bool = True,
    asked_ms: int | None = None,
) -> Retry | AskDelay | GiveUp:
    """`error` is as stored; `attempt` is the number (from 1) of the one that failed; `failed_at` in epoch ms;
    `asked_ms` is what the delay function of the step has said, where it has one.
    """
    if not retryable or error.get("code") in _FINAL_CODES or not config.retries.may_retry(attempt):
        return GiveUp()
    if config.retries.dynamic and asked_ms is None:
        return AskDelay()
    delay_ms = config.retries.delay_after_ms(attempt, _jitter.random, asked_ms=asked_ms)
    return Retry(failed_at + delay_ms)
