"""From the read model to what a page shows: words, times, texts; pure functions that are handed the present moment."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator.durations import MAX_MS, in_words
from orchestrator.inspection import InstanceDetail, RunView, StepView, WorkflowView
from orchestrator.statuses import FINITE
from web.dashboard.wording import ACTIONS, ROLLBACKS, STATUSES, STEP_KINDS, STEP_STATUSES, Action, Badge

SHOWN_CHARACTERS = 20_000
SHOWN_STEPS = 200
"""More would make a page too heavy to fetch every second; the API has them all."""


@dataclass(frozen=True, slots=True)
class Moment:
    iso: str
    exact: str
    relative: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A value as text, and how many characters of it are not shown."""

    text: str
    hidden: int


def status_badge(status: str) -> Badge:
    return STATUSES.get(status) or Badge("queue", status, "idle")


def step_badge(status: str) -> Badge:
    return STEP_STATUSES.get(status) or Badge("queue", status, "idle")


def rollback_badge(outcome: str) -> Badge:
    return ROLLBACKS.get(outcome) or Badge("queue", outcome, "idle")


def kind_word(kind: str) -> str:
    return STEP_KINDS.get(kind, kind)


def moment(at_ms: int | None, now_ms: int) -> Moment | None:
    if at_ms is None:
        return None
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return Moment(at.isoformat(timespec="milliseconds"), f"{at:%Y-%m-%d %H:%M:%S} UTC", relative(at_ms, now_ms))


def relative(at_ms: int, now_ms: int) -> str:
    """`3m ago`, `in 2d`: the largest unit only, so that a live page does not flicker."""
    distance_ms = now_ms - at_ms
    if abs(distance_ms) < 1000:
        return "just now"
    amount = in_words(abs(distance_ms) // 1000 * 1000).split()[0]
    return f"{amount} ago" if distance_ms > 0 else f"in {amount}"


def took(started_at: int | None, ended_at: int | None, now_ms: int) -> str:
    """How long something ran, or has been running; a dash before it starts."""
    if started_at is None:
        return "—"
    spent_ms = max(0, (ended_at if ended_at is not None else now_ms) - started_at)
    return in_words(spent_ms) if spent_ms else "<1ms"


def shown(value: Any, limit: int = SHOWN_CHARACTERS) -> Shown:
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return Shown(text[:limit], max(0, len(text) - limit))


def preview(value: Any) -> str:
    """The beginning of a stream, as inspection gives it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def has_output(step: StepView) -> bool:
    return step.kind in ("do", "waitForEvent") and step.status == "complete"


def may_be_restarted_from(step: StepView) -> bool:
    return step.kind in ("do", "sleep", "waitForEvent")


def begun_from(run: RunView) -> str:
    """`charge #2`; empty for a run from the beginning."""
    if run.restarted_from is None:
        return ""
    name, count = run.restarted_from["name"], run.restarted_from["count"]
    return str(name) if count == 1 else f"{name} #{count}"


def error_line(error: Mapping[str, Any] | None) -> str:
    """`ValueError: no stock`."""
    if not error:
        return ""
    name, message = str(error.get("name") or "Error"), str(error.get("message") or "")
    return f"{name}: {message}" if message else name


def counts(workflow: WorkflowView) -> list[tuple[Badge, int, str]]:
    """(badge, number, status) of the statuses that occur, what needs a look first."""
    return [(badge, number, status) for status, badge in STATUSES.items() if (number := workflow.instances.get(status))]


def settings(workflow: WorkflowView) -> list[tuple[str, str]]:
    """(what, how much) of its limits, concurrency and retention; only what is set for it."""
    found = []
    if (steps := workflow.limits.get("steps")) is not None:
        found.append(("Steps of an instance", f"{steps:,} at most"))
    if (limit := workflow.concurrency.get("limit")) is not None:
        found.append(("Instances at once", f"{limit:,} at most"))
    for key, what in (("success_retention", "Completed ones are kept"), ("error_retention", "Errored ones are kept")):
        if (kept_ms := workflow.default_retention.get(key)) is not None:
            found.append((what, "for ever" if kept_ms >= MAX_MS else f"for {in_words(kept_ms)}"))
    return found


def cell(ms: int | None) -> str:
    """A measured time in a table."""
    return "—" if ms is None else in_words(ms) if ms else "<1ms"


def total(workflow: WorkflowView) -> int:
    return sum(workflow.instances.values())


def is_finished(status: str) -> bool:
    return status in FINITE


def headline(detail: InstanceDetail, now_ms: int) -> str:
    """The state and its reason in one sentence."""
    if is_finished(detail.status):
        spent = took(detail.started_at or detail.created_at, detail.ended_at, now_ms)
        verb = {"complete": "Completed", "errored": "Failed", "terminated": "Terminated"}[detail.status]
        undone = {"complete": " Its steps were undone.", "failed": " Its rollback failed."}
        return f"{verb} after {spent}.{undone[detail.rollback['outcome']] if detail.rollback else ''}"
    if detail.waiting_for and detail.status in ("running", "waiting", "rollingBack"):
        return f"Waiting for {detail.waiting_for}."
    sentences = {
        "queued": "Waits for a worker to take it.",
        "waiting": "Waiting.",
        "running": f"Running for {took(detail.started_at, None, now_ms)}.",
        "waitingForPause": "Pauses as soon as its running steps have ended.",
        "paused": "Paused. Nothing runs and no deadline passes until it is resumed.",
        "rollingBack": "Undoes what its steps have done, newest first.",
    }
    return sentences.get(detail.status, "")


def past(detail: InstanceDetail, now_ms: int) -> str:
    """The same of a run that a restart has ended."""
    if is_finished(detail.status):
        return headline(detail, now_ms)
    return f"This run was {status_badge(detail.status).word.lower()} when the next one began."


def progress(detail: InstanceDetail) -> str:
    """`7 of 9 steps completed, 3 retries`; what undoes steps is no step of the author's."""
    asked = [step for step in detail.steps if step.kind != "rollback"]
    completed = sum(step.status == "complete" for step in asked)
    retries = sum(max(0, step.attempts - 1) for step in asked)
    known = len(asked)
    words = f"{completed:,} of {known:,} {'step' if known == 1 else 'steps'} completed"
    return f"{words}, {retries} {'retry' if retries == 1 else 'retries'}" if retries else words


def buttons(allowed: Sequence[str]) -> list[Action]:
    return [action for name, action in ACTIONS.items() if name in allowed]


def some_steps(detail: InstanceDetail, last: int | None) -> range:
    """The places of the steps that are shown: those up to number `last`, or the newest."""
    end = len(detail.steps) if last is None else min(last, len(detail.steps))
    return range(max(0, end - SHOWN_STEPS), end)


def awaited_event(steps: Sequence[StepView]) -> str:
    """The type of the event that is waited for now, to fill in the form; empty if none is."""
    for step in steps:
        if step.kind == "waitForEvent" and step.status == "waiting" and step.config:
            return str(step.config.get("type", ""))
    return ""


def summary(registry: Mapping[str, object] | None, name: str) -> str:
    """The first line of a workflow class's own docstring, where this process has loaded the class."""
    entry = (registry or {}).get(name)
    cls = getattr(entry, "cls", entry)
    own = vars(cls).get("__doc__") if isinstance(cls, type) else None
    return inspect.cleandoc(own).splitlines()[0] if own and own.strip() else ""
