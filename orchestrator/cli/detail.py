"""One instance drawn for people: what it is, why it is in its state, and every step with its attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cli.output import table
from orchestrator.cli.wording import (
    STATUS_STYLE,
    STEP_ICON,
    STEP_KIND,
    error_words,
    one_line,
    printable,
    reason_words,
    relative,
    status_words,
    took,
    trigger_words,
    value_words,
    when,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from orchestrator.inspection import AttemptView, InstanceDetail, StepView

_CELL = 120


def show_detail(detail: InstanceDetail, now_ms: int, *, step_output: bool, limit: int) -> RenderableType:
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    parts: list[RenderableType] = [table(("", ""), _facts(detail, now_ms, limit)), Text()]
    if not detail.steps:
        parts.append(Text("No steps yet.", style="dim"))
    for step in detail.steps:
        parts.append(_heading(step, now_ms))
        for said in _remarks(step, now_ms):
            parts.append(Padding(Text(printable(said)), (0, 0, 0, 4)))
        if step.attempt_log and (step.attempts > 1 or step.error):
            parts.append(Padding(_attempts(step.attempt_log, now_ms), (0, 0, 0, 4)))
        if step_output and step.kind in ("do", "waitForEvent") and step.status == "complete":
            parts.append(Padding(Text(value_words(step.output, limit), style="dim"), (0, 0, 0, 4)))
    return Group(*parts)


def _facts(detail: InstanceDetail, now_ms: int, limit: int) -> list[tuple[str | tuple[str, str], ...]]:
    facts: list[tuple[str | tuple[str, str], ...]] = [
        ("Workflow", detail.workflow),
        ("Instance", detail.id),
        ("Status", (status_words(detail.status), STATUS_STYLE.get(detail.status, ""))),
    ]
    if reason := reason_words(detail.status, detail.waiting_for):
        facts.append(("Now", reason))
    if detail.run > 1:
        facts.append(("Run", f"{detail.run} (it was restarted)"))
    facts += [
        ("Trigger", trigger_words(detail.trigger)),
        ("Queued", when(detail.created_at, now_ms)),
        ("Started", when(detail.started_at, now_ms)),
        ("Ended", when(detail.ended_at, now_ms)),
        ("Took", took(detail.started_at, detail.ended_at, now_ms)),
        ("Steps", str(detail.step_count)),
    ]
    succeeded = [step.label for step in detail.steps if step.kind == "do" and step.status == "complete"]
    if succeeded:
        facts.append(("Last successful step", one_line(succeeded[-1])))
    facts.append(("Params", value_words(detail.params, limit)))
    if detail.status == "complete":
        facts.append(("Output", value_words(detail.output, limit)))
    if detail.error:
        facts.append(("Error", (error_words(detail.error), "red")))
    if detail.rollback:
        undone = detail.rollback.get("outcome")
        said = "⏪ complete" if undone == "complete" else f"⏪ {undone}: {error_words(detail.rollback.get('error'))}"
        facts.append(("Rollback", said))
    facts.append(("Possible now", ", ".join(detail.allowed_actions) or "nothing"))
    return facts


def _heading(step: StepView, now_ms: int) -> RenderableType:
    from rich.text import Text

    heading = Text(f"{STEP_ICON.get(step.status, '·')} ")
    heading.append(one_line(step.label), style="bold")
    kind = STEP_KIND.get(step.kind, step.kind)
    heading.append(f"  {kind}  {step.status}  {took(step.started_at, step.ended_at, now_ms)}")
    heading.append(f"  {relative(step.started_at, now_ms)}", style="dim")
    return heading


def _remarks(step: StepView, now_ms: int) -> list[str]:
    said: list[str] = []
    if step.due_at is not None and step.status in ("waiting", "retrying"):
        said.append(f"{'tries again' if step.status == 'retrying' else 'due'} {when(step.due_at, now_ms)}")
    if step.error and not step.attempt_log:
        said.append(error_words(step.error))
    return said


def _attempts(attempts: list[AttemptView], now_ms: int) -> RenderableType:
    return table(
        ("Attempt", "Status", "Started", "Took", "Worker", "Error"),
        [
            (
                str(attempt.attempt),
                attempt.status,
                relative(attempt.started_at, now_ms),
                took(attempt.started_at, attempt.ended_at, now_ms),
                attempt.worker or "—",
                one_line(error_words(attempt.error), _CELL),
            )
            for attempt in attempts
        ],
    )
