"""The live picture of one instance on a terminal, redrawn as it changes; nothing it shows is data for a program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from orchestrator.cli.output import console
from orchestrator.cli.wording import (
    STATUS_STYLE,
    STEP_ICON,
    error_words,
    one_line,
    printable,
    reason_words,
    status_words,
    step_words,
    took,
)
from orchestrator.clock import SystemClock
from orchestrator.durations import in_words
from orchestrator.statuses import FINITE

if TYPE_CHECKING:
    from rich.console import RenderableType

    from orchestrator.inspection import InstanceDetail, StepView

_REDRAWS_PER_SECOND = 8
_FRAME_LINES = 6
"""What the picture holds beside its steps."""


def live_view(details: Iterator[InstanceDetail], *, stderr: bool) -> InstanceDetail | None:
    """Draw until the iterator ends; return the last detail."""
    from rich.live import Live

    screen = console(stderr=stderr)
    last: InstanceDetail | None = None

    def picture() -> RenderableType:
        # Asked for again and again, so that running times grow and waiting times shrink between two changes.
        room = max(3, screen.height - _FRAME_LINES)
        return "" if last is None else picture_of(last, SystemClock().now_ms(), room)

    with Live(get_renderable=picture, console=screen, refresh_per_second=_REDRAWS_PER_SECOND, screen=False) as live:
        for detail in details:
            last = detail
            live.refresh()
    return last


def picture_of(detail: InstanceDetail, now_ms: int, room: int) -> RenderableType:
    """Header, steps and reason; of more than `room` steps those that matter now."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    status = Text(status_words(detail.status), style=STATUS_STYLE.get(detail.status, ""))
    ended_at = detail.ended_at if detail.status in FINITE else None
    header = Text.assemble(status, f"  {detail.workflow}  {printable(detail.id)}", style="bold")
    header.append(f"  {took(detail.created_at, ended_at, now_ms)}", style="dim")
    steps = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    # A table that is too wide takes from the columns that may wrap: name and remark. Their cells are cut, not wrapped.
    steps.add_column(width=2)
    steps.add_column(overflow="ellipsis")
    steps.add_column(justify="right", style="dim", no_wrap=True)
    steps.add_column(overflow="ellipsis")
    shown, hidden = choose(detail.steps, room)
    for step in shown:
        icon = Text(STEP_ICON.get(step.status, "·"))
        style = "red" if step.status in ("errored", "retrying") else "dim"
        said = Text(remark(step, now_ms), style=style, no_wrap=True, overflow="ellipsis")
        label = Text(step_words(step.label, step.kind), no_wrap=True, overflow="ellipsis")
        steps.add_row(icon, label, took(step.started_at, step.ended_at, now_ms), said)
    parts: list[RenderableType] = [header]
    if hidden:
        parts.append(Text(f"   … {hidden:,} more steps", style="dim"))
    parts.append(steps)
    if reason := reason_words(detail.status, detail.waiting_for):
        parts.append(Text(f"   {reason}", style="dim"))
    return Group(*parts)


def choose(steps: list[StepView], room: int) -> tuple[list[StepView], int]:
    """The steps that fit, in their order: what is under way or failed first, then the newest; and how many do not."""
    if len(steps) <= room:
        return list(steps), 0
    newest_first = range(len(steps) - 1, -1, -1)
    by_weight = sorted(newest_first, key=lambda index: steps[index].status == "complete")
    kept = sorted(by_weight[:room])
    return [steps[index] for index in kept], len(steps) - room


def remark(step: StepView, now_ms: int) -> str:
    """What there is to say of a step beside its name and time: attempts, when it goes on, what went wrong."""
    said: list[str] = []
    if step.attempts > 1:
        said.append(f"attempt {step.attempts}")
    if step.status == "retrying" and step.due_at is not None:
        said.append(f"again {_coming(step.due_at, now_ms)}")
    elif step.status == "waiting" and step.due_at is not None:
        verb = "times out" if step.kind == "waitForEvent" else "wakes"
        said.append(f"{verb} {_coming(step.due_at, now_ms)}")
    if step.error and step.status != "complete":
        said.append(one_line(error_words(step.error), 120))
    return " · ".join(said)


def _coming(due_at: int, now_ms: int) -> str:
    return f"in {in_words(due_at - now_ms)}" if due_at > now_ms else "now"
