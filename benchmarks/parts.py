"""Says whose a stack of a profile is, and whose a process is; it takes no samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

PARTS: Mapping[str, Sequence[str]] = {
    "JSON": ("orchestrator/serialization.py", "pydantic", "/json/", "(json/"),
    "the driver of the database": ("psycopg", "orchestrator/store/driver.py", "orchestrator/store/libpq.py"),
    "going on in step": ("engine/convoy.py", "engine/crowd.py", "store/together.py"),
    "statements and transactions": ("orchestrator/store/", "sqlalchemy"),
    "the workflow's function, and replaying it": ("orchestrator/replay/", "orchestrator/authoring/"),
    "bodies and their loop": (
        "engine/body_loop.py",
        "engine/first_turn.py",
        "engine/async_bodies.py",
        "engine/orders.py",
        "benchmarks/ours_app.py",
        "(asyncio/",
    ),
    "messages": ("celery", "kombu", "(redis/", "(tasks/", "amqp", "vine"),
    "the engine": ("orchestrator/engine/", "orchestrator/housekeeping"),
    "the client": ("orchestrator/client/", "benchmarks/"),
}
"""In the order of asking, for each frame from the innermost outward: the first that has one of its marks has the sample."""
OTHER = "other"


def part_of(stack: str) -> str:
    """Of `outer (file:line);…;inner (file:line)`."""
    for frame in reversed(stack.split(";")):
        for part, marks in PARTS.items():
            if any(mark in frame for mark in marks):
                return part
    return OTHER


def shares(lines: Iterable[str]) -> dict[str, float]:
    """The share of each part in percent, the largest first, of lines `stack samples`. Raises ValueError for none."""
    found: Counter[str] = Counter()
    for line in lines:
        stack, _, samples = line.rpartition(" ")
        found[part_of(stack)] += int(samples)
    if not found:
        raise ValueError("The profile has no samples: did anything run?")
    return {part: 100 * count / found.total() for part, count in found.most_common()}


def role_of(name: str, command: Sequence[str]) -> str:
    """Whose the processor time of a process that was started for a measurement is."""
    if "postgres" in name:
        return "database"
    if "valkey" in name or "redis" in name:
        return "broker"
    if "orchestrator" in command and "worker" in command:
        return "workers"
    return OTHER
