"""Holds what became of every program against its model, the rows and what bodies wrote down; it only reads."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from orchestrator.names import idempotency_key
from orchestrator.statuses import InstanceStatus
from tests.chaos import programs
from tests.chaos.crowd import Started
from tests.chaos.site import Site
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


def judge(site: Site, all_started: list[Started], frozen: list[tuple[set[int], int, int]]) -> Verdict:
    verdict = Verdict()
    began, ended = _bodies(site.folder)
    verdict.bodies = sum(len(found) for found in began.values())
    verdict.repeated = verdict.bodies - len(began)
    attempts = Counter((key, attempt) for key, found in began.items() for _, _, attempt in found)
    verdict.begun_twice = sum(count > 1 for count in attempts.values())
    with site.database.read() as connection:
        for started in all_started:
            _judge_one(connection, started, verdict)
        for key, step in _steps(connection, site.postgres is not None):
            verdict.steps += 1
            if step["error"] is None and (key, step["attempts"]) not in ended:
                verdict.wrong.append(f"{step['instance_id']} {step['key']} has a result that no body has returned")
            for at_ns, pid, attempt in began.get(key, []):
                if at_ns > step["stored_ns"] + CLOCKS_NS:
                    _began_late(verdict, step, at_ns, pid, attempt, frozen)
    return verdict


def _judge_one(connection: Connection, started: Started, verdict: Verdict) -> None:
    program, row = started.program, connection.execute(_INSTANCE, {"id": started.instance._pk}).one()
    output = None if row.output is None else json.loads(row.output)
    found = f"{program.id} ({program.flavour}) is {row.status} with {output} {row.error or ''}"
    if row.status not in ("complete", "errored", "terminated"):
        verdict.lost.append(found)
        return
    try:
        predicted = (InstanceStatus.COMPLETE, programs.expected(program.op))
    except programs.Raises:
        predicted = (InstanceStatus.ERRORED, None)
    terminated = program.terminate_at_s is not None and row.status == "terminated"
    if not terminated and (row.status, output) != predicted:
        verdict.wrong.append(f"{found}, and the model says {predicted}")
    verdict.wrong += [
        f"{program.id}: {what}" for what in left_behind(connection, started.instance._pk) if "not delivered" not in what
    ]


def _began_late(
    verdict: Verdict, step: Any, at_ns: int, pid: int, attempt: int, frozen: list[tuple[set[int], int, int]]
) -> None:
    if any(pid in pids and 0 <= at_ns - until_ns < AFTER_A_FREEZE_NS for pids, _, until_ns in frozen):
        verdict.after_a_freeze += 1
        return
    late_ms = (at_ns - step["stored_ns"]) // 1_000_000
    verdict.after_commit.append(
        f"{step['instance_id']} run {step['run']} {step['key']}: attempt {attempt} in process {pid}, "
        f"{late_ms} ms after attempt {step['attempts']} of {step['worker']} was stored"
    )


def _bodies(folder: Path) -> tuple[dict[str, list[tuple[int, int, int]]], set[tuple[str, int]]]:
    """(when, process, attempt) of each body that began, by idempotency key; and the attempts that ended."""
    began: dict[str, list[tuple[int, int, int]]] = {}
    ended: set[tuple[str, int]] = set()
    for path in folder.glob("bodies-*"):
        for line in path.read_text().splitlines():
            word, at_ns, pid, key, attempt = line.split()
            if word == "began":
                began.setdefault(key, []).append((int(at_ns), int(pid), int(attempt)))
            else:
                ended.add((key, int(attempt)))
    return began, ended


def _steps(connection: Connection, postgres: bool) -> Iterator[tuple[str, Any]]:
    """Every `step.do` in the journal with its idempotency key and the moment it was stored."""
    stored = "extract(epoch FROM pg_xact_commit_timestamp(s.xmin)) * 1000" if postgres else "s.ended_at + 100"
    for row in connection.execute(text(_STEPS.format(stored=stored))):
        step = dict(row._mapping)
        step["stored_ns"] = int(float(step["stored_ms"]) * 1_000_000)
        key = idempotency_key(step["workflow"], step["id"], step["created_at"], step["run"], step["key"])
        yield key, step


_INSTANCE = text("SELECT status, output, error FROM orchestrator_instances WHERE id = :id")
_STEPS = """
    SELECT s.instance_id, s.run, s.key, s.error, s.attempts, s.worker, i.workflow, i.instance_id AS id, i.created_at,
        {stored} AS stored_ms
    FROM orchestrator_steps s JOIN orchestrator_instances i ON i.id = s.instance_id WHERE s.key LIKE 'do:%'
"""
