"""What must be true of an instance's world when it is over, whatever has gone wrong on the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, text

from orchestrator.authoring.streams import stream_info
from orchestrator.store.database import Database

if TYPE_CHECKING:
    from tests.crash.scenarios import Scenario
    from tests.crash.world import World


def judge(world: World, scenario: Scenario) -> list[str]:
    """The promises that were broken."""
    state = world.instance.status()
    found = list(world.broken)
    if (state.status, state.output) != (scenario.status, scenario.output):
        found.append(f"ended as {state.status} with {state.output!r} and {state.error}")
    if state.rollback != scenario.rollback:
        found.append(f"its rollback came to {state.rollback}")
    found += out_of_order(world.bodies)
    if twice := world.began_twice():
        found.append(f"the same attempt began twice: {twice}")
    with world.database.read() as connection:
        pk = world.instance._pk
        found += left_behind(connection, pk)
        found += miscounted(connection, pk, world.bodies, world.plan.reached)
    return found


def left_behind(connection: Connection, pk: int) -> list[str]:
    """A finished instance has no claim, nothing that rings, nothing that waits and nothing that runs."""
    found = []
    row = _rows(connection, "SELECT * FROM orchestrator_instances WHERE id = :id", pk)[0]
    found += [f"{name} is still {row[name]!r}" for name in ("holder", "ring_at", "paused_at") if row[name] is not None]
    if timers := _rows(connection, "SELECT * FROM orchestrator_timers WHERE instance_id = :id", pk):
        found.append(f"timers are left: {[timer['key'] for timer in timers]}")
    opened = "SELECT * FROM orchestrator_attempts WHERE instance_id = :id AND state <> 'failed'"
    if attempts := _rows(connection, opened, pk):
        found.append(f"attempts are left: {[(a['key'], a['attempt'], a['state']) for a in attempts]}")
    streams = _rows(connection, "SELECT * FROM orchestrator_streams WHERE owner_id = :id AND state <> 'dropped'", pk)
    results = _rows(connection, _OUTPUTS, pk)
    kept = {info.stream for row in results if (info := stream_info(row["result"])) is not None}
    if {stream["id"] for stream in streams} != kept or any(stream["state"] != "complete" for stream in streams):
        found.append(f"streams are left: {[dict(stream) for stream in streams]}, and the journal has {kept}")
    taken = {row["key"] for row in _rows(connection, "SELECT key FROM orchestrator_steps WHERE instance_id = :id", pk)}
    for event in _rows(connection, "SELECT * FROM orchestrator_events WHERE instance_id = :id", pk):
        if event["consumed_by"] is None:
            found.append(f"event {event['id']} was not delivered")
        elif event["consumed_by"] not in taken:
            found.append(f"event {event['id']} went to {event['consumed_by']}, which never got it")
    return found


def miscounted(connection: Connection, pk: int, bodies: list[tuple[int, str, int]], faults: int) -> list[str]:
    """Attempts are numbered from 1 without a gap, each body that began is one of them, and the last one settled its step.

    A fault may cost an attempt that had not begun, as nobody can tell; but only one.
    """
    found = []
    failed = _rows(connection, "SELECT * FROM orchestrator_attempts WHERE instance_id = :id ORDER BY id", pk)
    runs = _rows(connection, "SELECT run, next_position FROM orchestrator_runs WHERE instance_id = :id", pk)
    taken_over = {row["run"] + 1: row["next_position"] or 0 for row in runs}
    for step in _rows(connection, "SELECT * FROM orchestrator_steps WHERE instance_id = :id", pk):
        if step["position"] < taken_over.get(step["run"], 0):
            continue  # it ran in the run before
        if not step["key"].startswith(("do:", "rollback:")):
            continue
        identity = (step["run"], step["key"])
        numbers = sorted(row["attempt"] for row in failed if (row["run"], row["key"]) == identity)
        began = [attempt for *which, attempt in bodies if tuple(which) == identity]
        total = step["attempts"]
        expected = list(range(1, total + (step["error"] is not None)))
        if numbers != expected:
            error = step["error"] and json.loads(step["error"]).get("message")
            found.append(f"{identity} took {total} attempts, and those noted as failed are {numbers} ({error})")
        if [attempt for attempt in began if attempt > total]:
            found.append(f"{identity} took {total} attempts, and bodies began for {began}")
        if total > len(began) + faults:
            found.append(f"{identity} took {total} attempts, and bodies began for {began} with {faults} faults")
        if step["error"] is None and total not in began:
            found.append(f"{identity} has a result of attempt {total}, and bodies began for {began}")
    return found


def out_of_order(bodies: list[tuple[int, str, int]]) -> list[str]:
    """Once a handler has begun, no step begins any more, and no handler that has had its turn."""
    found, undone = [], list[str]()
    for _, key, _ in bodies:
        if key.startswith("rollback:"):
            if key in undone and key != undone[-1]:
                found.append(f"{key} was undone again after {undone[-1]}")
            undone.append(key)
        elif undone:
            found.append(f"{key} began after {undone[-1]}")
    return found


def crowd(database: Database) -> None:
    """Somebody else waits for the workers, in vain."""

    def work(connection: Connection) -> None:
        connection.execute(text(_CROWD))

    database.transaction(work)


def _rows(connection: Connection, query: str, pk: int) -> list[Any]:
    found: list[Row[Any]] = list(connection.execute(text(query), {"id": pk}))
    return [row._mapping for row in found]


_OUTPUTS = """
    SELECT s.result FROM orchestrator_steps s JOIN orchestrator_instances i ON i.id = s.instance_id AND i.run = s.run
    WHERE i.id = :id
"""
"""What an earlier run had streamed went with it."""

_CROWD = """
    INSERT INTO orchestrator_instances
        (workflow, instance_id, status, queue, params, trigger, ring_at, created_at, modified_at)
    VALUES ('nobody-knows-it', 'waits', 'queued', 'default', '{}', 'api', 4000000000000, 1, 1)
    ON CONFLICT DO NOTHING
"""
