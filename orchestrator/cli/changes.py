"""What changed between two looks at an instance, as lines of text; it must not print them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cli.wording import STEP_ICON, error_words, one_line, reason_words, status_words, step_words, took
from orchestrator.durations import in_words

if TYPE_CHECKING:
    from orchestrator.inspection import InstanceDetail, StepView

_ERROR_LIMIT = 200


class Changes:
    """Remembers what has been told of one instance."""

    def __init__(self) -> None:
        self._status: str | None = None
        self._steps: dict[tuple[int, str, str], tuple[str, int]] = {}

    def lines(self, detail: InstanceDetail, now_ms: int) -> list[str]:
        """A line for each step and status that is not as it was the last time."""
        told = [self._step_line(step, now_ms) for step in detail.steps if self._is_news(detail, step)]
        if detail.status != self._status:
            self._status = detail.status
            told.append(_instance_line(detail))
        elapsed = in_words(max(0, now_ms - detail.created_at))
        return [f"{elapsed:>8}  {line}" for line in told]

    def _is_news(self, detail: InstanceDetail, step: StepView) -> bool:
        key, state = (detail.run, step.kind, step.label), (step.status, step.attempts)
        if self._steps.get(key) == state:
            return False
        self._steps[key] = state
        return True

    def _step_line(self, step: StepView, now_ms: int) -> str:
        parts = [STEP_ICON.get(step.status, "·"), step_words(step.label, step.kind), step.status]
        if step.attempts > 1:
            parts.append(f"attempt {step.attempts}")
        if step.status in ("complete", "errored"):
            parts.append(took(step.started_at, step.ended_at, now_ms))
        elif step.due_at is not None:
            parts.append(f"due in {in_words(max(0, step.due_at - now_ms))}")
        if step.error and step.status != "complete":
            parts.append(one_line(error_words(step.error), _ERROR_LIMIT))
        return " ".join(parts)


def _instance_line(detail: InstanceDetail) -> str:
    reason = reason_words(detail.status, detail.waiting_for)
    return f"{status_words(detail.status)}{reason and f', {reason}'}"
