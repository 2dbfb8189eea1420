"""Holds what became of every program against its model, the rows and what bodies wrote down; it only reads."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from orchestrator.names import idempotency_key, split_key, step_key
from orchestrator.statuses import InstanceStatus, StepKind
from tests.chaos import programs
from tests.chaos.crowd import Started
from tests.chaos.site import Site
from tests.chaos.undoing import wrongly_undone
from tests.crash.evidence import left_behind

AFTER_A_FREEZE_NS = 500_000_000
CLOCKS_NS = 2_000_000
"""The database's clock and the bodies' are one clock; this much rounding is forgiven."""


@dataclass
class Verdict:
    lost: list[str] = field(default_factory=list)
    """Programs that have not ended."""
    wrong: list[str] = field(default_factory=list)
    """Programs that ended as the model does not allow, and rows that should not be there."""
    steps: int = 0
    bodies: int = 0
    repeated: int = 0
    """Bodies beyond the first of a step, most of which had failed or were lost with their worker."""
    begun_twice: int = 0
    """Attempts whose body began twice under one number."""
    after_commit: list[str] = field(default_factory=list)
    """Bodies that began although their step's result was stored."""
    after_a_freeze: int = 0
    """Such bodies of processes that had just been stopped between their decision and the body: nobody can prevent it."""
    undone: int = 0
    """Handlers that have ended well or badly."""
    rollbacks: Counter[str] = field(default_factory=Counter)
    """How many came to what."""


@dataclass(frozen=True)
class Body:
    """Of a step, or of its handler."""

    at_ns: int
    pid: int
    attempt: int


@dataclass
class Notes:
    """What bodies wrote down when they began and ended, by the idempotency key of their step."""

    began: dict[str, list[Body]] = field(default_factory=dict)
    ended: set[tuple[str, int]] = field(default_factory=set)
    undoing: dict[str, list[Body]] = field(default_factory=dict)
    undone: set[str] = field(default_factory=set)


Frozen = list[tuple[set[int], int, int]]


def judge(site: Site, all_started: list[Started], frozen: Frozen) -> Verdict:
    verdict, notes = Verdict(), _notes(site.folder)
    verdict.bodies = sum(len(found) for found in notes.began.values())
    verdict.repeated = verdict.bodies - len(notes.began)
    attempts = Counter((key, body.attempt) for key, found in notes.began.items() for body in found)
    verdict.begun_twice = sum(count > 1 for count in attempts.values())
    with site.database.read() as connection:
        for started in all_started:
            _judge_one(connection, started, verdict)
        for step in _steps(connection, site.postgres is not None):
            _judge_step(step, notes, verdict, frozen)
        _judge_rollbacks(connection, notes, verdict, frozen)
    return verdict


def _judge_one(connection: Connection, started: Started, verdict: Verdict) -> None:
    program, row = started.program, connection.execute(_INSTANCE, {"id": started.instance._pk}).one()
    output = None if row.output is None else json.loads(row.output)
    found = f"{program.id} ({program.flavour}) is {row.status} with {output} {row.error or ''}"
    if row.status not in ("complete", "errored", "terminated"):
        verdict.lost.append(f"{found}, {_whereabouts(connection, started.instance._pk)}")
        return
    try:
        predicted = (InstanceStatus.COMPLETE, programs.expected(program.op))
    except programs.Raises:
        predicted = (InstanceStatus.ERRORED, None)
    terminated = program.terminate_at_s is not None and row.status == "terminated"
    if not terminated and (row.status, output) != predicted:
        verdict.wrong.append(f"{found}, and the model says {predicted}")
    verdict.wrong += [f"{program.id}: {what}" for what in wrongly_undone(connection, started.instance._pk, program)]
    verdict.wrong += [
        f"{program.id}: {what}" for what in left_behind(connection, started.instance._pk) if "not delivered" not in what
    ]


def _whereabouts(connection: Connection, pk: int) -> str:
    """Who has it and what it waits for, so that what became of it can be found in the logs."""
    holder, fence, ring_at = connection.execute(_HELD, {"id": pk}).one()
    tried = [f"attempt {key} is {state} ({worker})" for key, state, worker in connection.execute(_TRIED, {"id": pk})]
    timers = [f"{kind} {key} is due at {due_at}" for key, kind, due_at in connection.execute(_TIMERS, {"id": pk})]
    return ", ".join([f"instance {pk} held by {holder} (fence {fence}), rung for at {ring_at}", *tried, *timers])


def _judge_step(step: Any, notes: Notes, verdict: Verdict, frozen: Frozen) -> None:
    """A step, or the undoing of one."""
    of = step["idempotency_key"]
    if step["undoes"]:
        verdict.undone += 1
        known, begun = of in notes.undone, notes.undoing.get(of, [])
    else:
        verdict.steps += 1
        known, begun = (of, step["attempts"]) in notes.ended, notes.began.get(of, [])
    if step["error"] is None and not known:
        verdict.wrong.append(f"{step['id']} {step['key']} has a result that no body has returned")
    for body in begun:
        if body.at_ns > step["stored_ns"] + CLOCKS_NS:
            late_ms = (body.at_ns - step["stored_ns"]) // 1_000_000
            what = f"{late_ms} ms after attempt {step['attempts']} of {step['worker']} was stored"
            _began_late(verdict, f"{step['id']} run {step['run']} {step['key']}", body, what, frozen)


def _judge_rollbacks(connection: Connection, notes: Notes, verdict: Verdict, frozen: Frozen) -> None:
    """Once a handler has begun, no body of its run begins any more."""
    of_runs: dict[tuple[str, int], set[str]] = {}
    for row in connection.execute(_KEYS):
        of_runs.setdefault((row.id, row.run), set()).add(_idempotency_key(row))
    for (instance, run), keys in of_runs.items():
        first_ns = min((body.at_ns for key in keys for body in notes.undoing.get(key, ())), default=None)
        for key in keys:
            for body in notes.began.get(key, ()):
                if first_ns is not None and body.at_ns > first_ns:
                    late_ms = (body.at_ns - first_ns) // 1_000_000
                    what = f"{late_ms} ms after the first handler of its run"
                    _began_late(verdict, f"{instance} run {run}: a body", body, what, frozen)
    for row in connection.execute(_ROLLBACKS):
        verdict.rollbacks[str(json.loads(row.rollback)["outcome"])] += 1


def _began_late(verdict: Verdict, which: str, body: Body, what: str, frozen: Frozen) -> None:
    if any(body.pid in pids and 0 <= body.at_ns - until_ns < AFTER_A_FREEZE_NS for pids, _, until_ns in frozen):
        verdict.after_a_freeze += 1
    else:
        verdict.after_commit.append(f"{which}: attempt {body.attempt} in process {body.pid}, {what}")


def _notes(folder: Path) -> Notes:
    notes = Notes()
    for path in folder.glob("bodies-*"):
        for line in path.read_text().splitlines():
            word, at_ns, pid, key, attempt = line.split()
            body = Body(int(at_ns), int(pid), int(attempt))
            if word == "began":
                notes.began.setdefault(key, []).append(body)
            elif word == "ended":
                notes.ended.add((key, body.attempt))
            elif word == "undoing":
                notes.undoing.setdefault(key, []).append(body)
            else:
                notes.undone.add(key)
    return notes


def _steps(connection: Connection, postgres: bool) -> Iterator[dict[str, Any]]:
    """Every `step.do` and handler in the journal, with the idempotency key of the step and the moment it was stored."""
    stored = "extract(epoch FROM pg_xact_commit_timestamp(s.xmin)) * 1000" if postgres else "s.ended_at + 100"
    for row in connection.execute(text(_STEPS.format(stored=stored))):
        step = dict(row._mapping)
        step["stored_ns"] = int(float(step["stored_ms"]) * 1_000_000)
        step["undoes"] = split_key(step["key"])[0] == StepKind.ROLLBACK
        step["idempotency_key"] = _idempotency_key(row)
        yield step


def _idempotency_key(row: Any) -> str:
    """Of the step that a row is about; a handler is told that of the step it undoes."""
    key = step_key(StepKind.DO, *split_key(row.key)[1:])
    return idempotency_key(row.workflow, row.id, row.created_at, row.run, key)


_INSTANCE = text("SELECT status, output, error FROM orchestrator_instances WHERE id = :id")
_HELD = text("SELECT holder, fence, ring_at FROM orchestrator_instances WHERE id = :id")
_TRIED = text("SELECT key, state, worker FROM orchestrator_attempts WHERE instance_id = :id AND state <> 'failed'")
_TIMERS = text("SELECT key, kind, due_at FROM orchestrator_timers WHERE instance_id = :id")
_STEPS = """
    SELECT s.run, s.key, s.error, s.attempts, s.worker, i.workflow, i.instance_id AS id, i.created_at,
        {stored} AS stored_ms
    FROM orchestrator_steps s JOIN orchestrator_instances i ON i.id = s.instance_id
    WHERE s.key LIKE 'do:%' OR s.key LIKE 'rollback:%'
"""
_KEYS = text("""
    SELECT DISTINCT i.instance_id AS id, i.workflow, i.created_at, s.run, s.key FROM orchestrator_instances i JOIN (
        SELECT instance_id, run, key FROM orchestrator_steps UNION SELECT instance_id, run, key FROM orchestrator_attempts
    ) s ON s.instance_id = i.id WHERE s.key LIKE 'do:%' OR s.key LIKE 'rollback:%'
""")
_ROLLBACKS = text("SELECT rollback FROM orchestrator_instances WHERE rollback IS NOT NULL")
