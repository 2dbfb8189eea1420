"""The words, icons and times people read, in Wrangler's vocabulary; it must not print and must not know the client."""

from __future__ import annotations

import json
import re
from typing import Any

from orchestrator.durations import in_words

STATUS = {
    "queued": "⌛ Queued",
    "running": "▶ Running",
    "paused": "⏸️ Paused",
    "errored": "❌ Errored",
    "terminated": "🚫 Terminated",
    "complete": "✅ Completed",
    "waiting": "⏰ Waiting",
    "waitingForPause": "⏱️ Waiting for Pause",
    "rollingBack": "⏪ Rolling back",
}
STATUS_STYLE = {"errored": "red", "terminated": "red", "complete": "green", "running": "cyan", "paused": "yellow"}
STEP_ICON = {"complete": "✅", "errored": "❌", "running": "▶", "waiting": "⏰", "queued": "⌛", "retrying": "🔁"}
STEP_KIND = {
    "do": "🎯 step",
    "sleep": "💤 sleep",
    "waitForEvent": "👀 wait for event",
    "timer": "⏱️ timer",
    "rollback": "⏪ rollback",
}
TRIGGER = {"api": "🌎 API", "binding": "🔗 Binding", "cron": "⌛ Cron", "event": "📩 Event"}

# A stored text may hold escape sequences that move the cursor or rename the window, and marks that reverse the line.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text with everything a terminal would obey instead of show written out, in JSON's way of writing it."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def one_line(text: str, limit: int = 0) -> str:
    """For a table cell: no line breaks, and at most `limit` characters (0: any number)."""
    flat = printable(text.replace("\r\n", "\n").replace("\n", " ").replace("\t", " "))
    return f"{flat[: limit - 1]}…" if limit and len(flat) > limit else flat


def step_words(label: str, kind: str) -> str:
    """A step where nothing else says its kind: `charge-1` and `undo charge-1` are two lines."""
    return f"undo {one_line(label)}" if kind == "rollback" else one_line(label)


def status_words(status: str) -> str:
    return STATUS.get(status, printable(status))


def trigger_words(trigger: str) -> str:
    return TRIGGER.get(trigger, printable(trigger))


def relative(at_ms: int | None, now_ms: int) -> str:
    """`3m 20s ago`, `in 2d`, or a dash where there is no time."""
    if at_ms is None:
        return "—"
    distance_ms = now_ms - at_ms
    if abs(distance_ms) < 1000:
        return "just now"
    return f"{in_words(distance_ms)} ago" if distance_ms > 0 else f"in {in_words(-distance_ms)}"


def absolute(at_ms: int) -> str:
    """In the reader's own time zone, with its offset."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone().isoformat(sep=" ", timespec="milliseconds")


def when(at_ms: int | None, now_ms: int) -> str:
    return "—" if at_ms is None else f"{relative(at_ms, now_ms)} ({absolute(at_ms)})"


def took(started_at: int | None, ended_at: int | None, now_ms: int) -> str:
    """How long something ran, or has been running."""
    if started_at is None:
        return "—"
    return in_words(max(0, (ended_at if ended_at is not None else now_ms) - started_at))


def reason_words(status: str, waiting_for: str | None) -> str:
    """Why an instance is not going on; empty where it is, or has ended."""
    if not waiting_for:
        return ""
    return one_line(waiting_for) if status == "paused" else f"waiting for {one_line(waiting_for)}"


def error_words(error: dict[str, Any] | None) -> str:
    """`ValueError: no stock`."""
    if not error:
        return ""
    name, message = str(error.get("name") or "Error"), str(error.get("message") or "")
    return f"{name}: {message}" if message else name


def value_words(value: Any, limit: int = 0) -> str:
    """A stored value as JSON, cut after `limit` characters (0: never), saying how much was cut."""
    text = printable(json.dumps(value, ensure_ascii=False, indent=2))
    if limit and len(text) > limit:
        return f"{text[:limit]}\n… {len(text) - limit:,} of {len(text):,} characters more: use -o json to see them all"
    return text
