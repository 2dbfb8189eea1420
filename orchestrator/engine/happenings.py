"""What has happened to an instance, told from the rows its work leaves anyway; pure, it reads and writes nothing.

A row of the journal tells a step's start, attempts and end at once, so those of a step that was quick are learnt
together. What is under way is told by its timer or by its attempt's row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.authoring.policy import stored_config
from orchestrator.engine.retries import Retry, after_failure
from orchestrator.names import label_of, split_key
from orchestrator.serialization import decode, named_error, public_error
from orchestrator.statuses import RETRY, AttemptState, InstanceStatus, StepKind

_PLAIN = ("started", "completed", "errored")
EVENT_TYPES = (
    "workflow_queued", "workflow_started", "workflow_running", "workflow_paused", "workflow_waiting_for_pause",
    "workflow_waiting", "workflow_completed", "workflow_errored", "workflow_terminated",
    *(f"step_{word}" for word in _PLAIN), *(f"attempt_{word}" for word in _PLAIN),
    "sleep_started", "sleep_completed", "wait_started", "wait_completed", "wait_timed_out",
    "rollback_started", "rollback_completed", "rollback_errored",
    *(f"rollback_step_{word}" for word in _PLAIN), *(f"rollback_attempt_{word}" for word in _PLAIN),
)  # fmt: skip
TERMINAL = {
    InstanceStatus.COMPLETE: "workflow_completed",
    InstanceStatus.ERRORED: "workflow_errored",
    InstanceStatus.TERMINATED: "workflow_terminated",
}
STATUS_TYPES = {
    "workflow_queued": InstanceStatus.QUEUED,
    "workflow_running": InstanceStatus.RUNNING,
    "workflow_waiting": InstanceStatus.WAITING,
    "workflow_paused": InstanceStatus.PAUSED,
    "workflow_waiting_for_pause": InstanceStatus.WAITING_FOR_PAUSE,
}
LARGE = frozenset({"workflow_started", "workflow_completed", "step_completed"})
"""Their data is as large as a payload may be, so it is not written down a second time."""

FIRST, USUAL, UNDONE, LAST = 0, 1, 2, 3
"""Nothing of the workflow goes on any more when the first of its steps is undone."""
_OPEN = 2**62

Known = tuple[str, str, int]
"""Which happening it is: its type, the key of its step, and its number."""


@dataclass(slots=True)
class Happening:
    type: str
    key: str
    number: int
    at: int
    data: dict[str, Any]
    order: tuple[int, ...] = ()

    @property
    def known(self) -> Known:
        return self.type, self.key, self.number


def tell(
    subject: Any, changes: Sequence[Any], attempts: Sequence[Any], timers: Sequence[Any], steps: Sequence[Any]
) -> list[Happening]:
    """All that the rows of one run tell, in order. What they told before, they tell again."""
    tried: dict[str, list[Any]] = {}
    for attempt in attempts:
        tried.setdefault(attempt.key, []).append(attempt)
    delays = {timer.key: timer.due_at - timer.started_at for timer in timers if timer.kind == RETRY}
    found = [*_of_instance(subject, changes), *_of_rollback(subject, attempts, steps)]
    done = set()
    for row in steps:
        done.add(row.key)
        _number(found, row.position, row.seq, _of_step(row, tried.get(row.key, []), delays))
    for timer in timers:
        if timer.kind != RETRY and timer.key not in done:
            _number(found, timer.position, _OPEN, _of_wait(timer.key, timer.started_at, timer.due_at, timer.event_type))
    for key, rows in tried.items():
        if key not in done:
            _number(found, rows[0].position, _OPEN, _of_attempts(key, rows, delays, settled=False))
    return sorted(found, key=lambda happening: happening.order)


def _number(found: list[Happening], position: int, seq: int, happenings: Iterable[Happening]) -> None:
    """By time; at the same moment in the order of calls; within one row as they are told. Steps are undone one by one."""
    for rank, happening in enumerate(happenings):
        undone = happening.type.startswith("rollback")
        happening.order = (UNDONE, seq, rank) if undone else (USUAL, happening.at, position, rank)
        found.append(happening)


def _of_instance(subject: Any, changes: Sequence[Any]) -> Iterator[Happening]:
    # A run after the first is queued by the restart, which is one of the changes.
    if subject.run == 1:
        queued = {"trigger": subject.trigger}
        yield Happening("workflow_queued", "", 0, subject.created_at, queued, (FIRST, 0))
    if subject.started_at is not None:
        yield Happening("workflow_started", "", 0, subject.started_at, {}, (FIRST, 2))
        yield Happening("workflow_running", "", 0, subject.started_at, {}, (FIRST, 3))
    for row in changes:
        if row.type not in EVENT_TYPES:
            continue
        data = {} if row.data is None else decode(row.data)
        first = row.type == "workflow_queued" and "restarted" in data
        order = (FIRST, 1) if first else (USUAL, row.at, 2**62, row.id)
        yield Happening(row.type, "", row.id, row.at, data, order)
    terminal = TERMINAL.get(subject.status)
    if terminal is not None:
        error = {} if subject.error is None else {"error": public_error(subject.error)}
        yield Happening(terminal, "", 0, subject.ended_at or subject.modified_at, error, (LAST,))


def _of_rollback(subject: Any, attempts: Sequence[Any], steps: Sequence[Any]) -> Iterator[Happening]:
    if subject.rollback is None:
        return
    plan = decode(subject.rollback)
    begun = [
        row.started_at for row in (*attempts, *steps) if row.started_at and split_key(row.key)[0] == StepKind.ROLLBACK
    ]
    at = min([*begun, subject.modified_at])
    yield Happening("rollback_started", "", 0, at, {"error": named_error(plan["error"])}, (UNDONE, 0))
    if subject.status in TERMINAL and plan["outcome"] is not None:
        ended_at = subject.ended_at or subject.modified_at
        if plan["outcome"] == "complete":
            yield Happening("rollback_completed", "", 0, ended_at, {}, (UNDONE, _OPEN + 1))
        else:
            failure = {"error": named_error(plan["failure"] or {})}
            yield Happening("rollback_errored", "", 0, ended_at, failure, (UNDONE, _OPEN + 1))


def _of_step(row: Any, tried: list[Any], delays: dict[str, int]) -> Iterator[Happening]:
    kind, label = split_key(row.key)[0], label_of(row.key)
    config = {} if row.config is None else json.loads(row.config)
    if kind in (StepKind.SLEEP, StepKind.TIMER):
        duration = config.get("duration", max(config.get("until", 0) - row.started_at, 0))
        yield Happening("sleep_started", row.key, 0, row.started_at, {"step_name": label, "duration_ms": duration})
        yield Happening("sleep_completed", row.key, 0, row.ended_at, {"step_name": label})
    elif kind == StepKind.WAIT_FOR_EVENT:
        waited = {"step_name": label, "event_type": config.get("type")}
        yield Happening("wait_started", row.key, 0, row.started_at, waited)
        if row.error is None:
            yield Happening("wait_completed", row.key, 0, row.ended_at, waited)
        else:
            yield Happening("wait_timed_out", row.key, 0, row.ended_at, waited | {"error": public_error(row.error)})
    else:
        yield from _of_settled(row, tried, delays, prefix(kind), label)


def _of_settled(row: Any, tried: list[Any], delays: dict[str, int], of: str, label: str) -> Iterator[Happening]:
    failed = [attempt for attempt in tried if attempt.state == AttemptState.FAILED]
    started = min([row.started_at, *(attempt.started_at for attempt in failed if attempt.started_at)])
    config = json.loads(stored_config(row.config).shown)
    yield Happening(f"{of}step_started", row.key, 0, started, {"step_name": label, "config": config})
    yield from _of_attempts(row.key, failed, delays, settled=True, last=row.attempts)
    named = {"step_name": label}
    if row.attempts and not any(attempt.attempt == row.attempts for attempt in failed):
        numbered = named | {"attempt": row.attempts}
        yield Happening(f"{of}attempt_started", row.key, row.attempts, row.started_at, numbered)
        if row.error is None:
            yield Happening(f"{of}attempt_completed", row.key, row.attempts, row.ended_at, numbered)
        else:
            errored = numbered | {"error": public_error(row.error)}
            yield Happening(f"{of}attempt_errored", row.key, row.attempts, row.ended_at, errored)
    if row.error is None:
        yield Happening(f"{of}step_completed", row.key, 0, row.ended_at, named)
    else:
        more = {"error": public_error(row.error)} if of else {}
        yield Happening(f"{of}step_errored", row.key, 0, row.ended_at, named | more)


def _of_attempts(
    key: str, rows: list[Any], delays: dict[str, int], *, settled: bool, last: int = 0
) -> Iterator[Happening]:
    kind, label = split_key(key)[0], label_of(key)
    of = prefix(kind)
    begun = [row for row in rows if row.started_at is not None]
    if begun and not settled:
        config = json.loads(stored_config(begun[0].config).shown)
        yield Happening(
            f"{of}step_started", key, 0, begun[0].started_at, {"step_name": label, "config": config}
        )  # fmt: skip
    newest = max((row.attempt for row in rows), default=0)
    for row in begun:
        numbered: dict[str, Any] = {"step_name": label, "attempt": row.attempt}
        yield Happening(f"{of}attempt_started", key, row.attempt, row.started_at, numbered)
        if row.state == AttemptState.FAILED:
            errored = numbered | {"error": public_error(row.error)}
            delay = delays.get(key) if row.attempt == newest else None
            if delay is None and not (settled and row.attempt == last):
                delay = _delay_after(row)
            if delay is not None:
                errored["retry_delay_ms"] = delay
            yield Happening(f"{of}attempt_errored", key, row.attempt, row.ended_at, errored)


def _of_wait(key: str, started_at: int, due_at: int, event_type: str | None) -> Iterator[Happening]:
    kind, label = split_key(key)[0], label_of(key)
    if kind == StepKind.WAIT_FOR_EVENT:
        yield Happening("wait_started", key, 0, started_at, {"step_name": label, "event_type": event_type})
    elif kind in (StepKind.SLEEP, StepKind.TIMER):
        yield Happening("sleep_started", key, 0, started_at, {"step_name": label, "duration_ms": due_at - started_at})


def _delay_after(failed: Any) -> int | None:
    decided = after_failure(stored_config(failed.config), failed.attempt, decode(failed.error), failed.ended_at)
    return decided.due_at - failed.ended_at if isinstance(decided, Retry) else None


def prefix(kind: str) -> str:
    return "rollback_" if kind == StepKind.ROLLBACK else ""
