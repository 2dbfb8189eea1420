"""Random workflow programs as JSON trees, and what each must come to, whatever happens on the way; it runs nothing."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

Op = dict[str, Any]

CAUGHT = "caught"
TIMED_OUT = "timed out"
FIRST_EVENT_TIMEOUT_MS = 1000
SHARED_MOMENTS_MS = 3000
"""Many sleep until the same moment: the next but one of these."""


class Raises(Exception):
    """What the model says of a program that ends with an error."""


@dataclass
class Program:
    """One instance to be: what it runs, and what is done to it from outside, each at so many seconds after its creation."""

    number: int
    flavour: str
    op: Op
    events: list[str] = field(default_factory=list)
    """The type of each event it will wait for, as often as it will."""
    event_delay_s: float = 0.0
    pauses: list[tuple[float, float]] = field(default_factory=list)
    """When to pause it, and when to resume it."""
    restart_at_s: float | None = None
    terminate_at_s: float | None = None
    undo: bool = False
    """Whether what it has done is undone when it is terminated."""

    @property
    def id(self) -> str:
        return f"program-{self.number}"


def generate(seed: int, number: int) -> Program:
    """Program `number` of a seed: always the same."""
    random = Random(f"{seed}/{number}")
    writer = _Writer(random)
    flavour = random.choice(["async", "async", "def"])
    op = writer.sequence(depth=3)
    if random.random() < 0.25:
        op = writer.failing(op)
    program = Program(number, flavour, op, events_of(op), random.choice([0.0, 0.0, random.uniform(0, 4)]))
    what = random.random()
    if what < 0.12:
        at_s = random.uniform(0, 3)
        program.pauses.append((at_s, at_s + random.uniform(0, 2)))
    elif what < 0.2:
        program.restart_at_s = random.uniform(0, 4)
    elif what < 0.28:
        program.terminate_at_s = random.uniform(0, 3)
        program.undo = random.random() < 0.5
    return program


class _Writer:
    """Writes one program; each operation gets a name of its own."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._names = 0

    def sequence(self, depth: int) -> Op:
        return {"op": "sequence", "of": self._several(depth, 2, 5)}

    def _op(self, depth: int) -> Op:
        random = self._random
        if depth == 0 or random.random() < 0.45:
            kinds, weights = zip(*_LEAVES.items(), strict=True)
            return self._leaf(random.choices(kinds, weights)[0])
        kind = random.choice(["sequence", "all", "all", "loop", "careful", "careful", "race"])
        if kind == "loop":
            return {"op": "loop", "times": random.randint(2, 4), "of": self._op(depth - 1)}
        if kind == "careful":
            op = self._op(depth - 1)
            return {"op": "careful", "of": op if random.random() < 0.5 else self.failing(op)}
        if kind == "race":
            return {"op": "race", "winner": self._step(ms=random.choice([0, 20])), "loser": self._loser()}
        return {"op": kind, "of": self._several(depth - 1, 1, 4)}

    def _several(self, depth: int, least: int, most: int) -> list[Op]:
        return [self._op(depth) for _ in range(self._random.randint(least, most))]

    def _leaf(self, kind: str) -> Op:
        random = self._random
        if kind == "sleep":
            return {"op": "sleep", "name": self._name(), "ms": random.choice([0, 5, 50, 400, 1500])}
        if kind == "until":
            return {"op": "until", "name": self._name(), "ms": SHARED_MOMENTS_MS}
        if kind == "event":
            name = self._name()
            return {"op": "event", "name": name, "type": name.replace(" ", "-")}
        if kind == "no event":
            return {"op": "no event", "name": self._name(), "ms": FIRST_EVENT_TIMEOUT_MS}
        if kind == "late":
            return {"op": "late", "name": self._name(), "ms": random.choice([200, 900])}
        if kind == "stream":
            return self._stream()
        return self._step(kind=kind, ms=random.choice([0, 0, 1, 5, 30, 200]))

    def _step(self, kind: str = "do", ms: int = 0) -> Op:
        random = self._random
        if kind == "long":
            kind, ms = "do", random.randint(1100, 2500)
        if kind == "slow":
            ms = random.choice([600, 2500])
        op = {"op": kind, "name": self._name(), "ms": ms, "value": random.randint(0, 999)}
        op["sync"] = random.random() < 0.5
        if kind == "flaky":
            op["fails"] = random.randint(1, 3)
        return op | self._undo()

    def _stream(self) -> Op:
        """Some of it is larger than what is stored at once."""
        random = self._random
        chunks, size = random.choice([(0, 0), (1, 10), (3, 1000), (2, 300_000), (5, 150_000)])
        op = {
            "op": "stream",
            "name": self._name(),
            "ms": random.choice([0, 5, 50, 300]),
            "chunks": chunks,
            "size": size,
        }
        op |= {"value": random.randint(0, 255), "sync": random.random() < 0.5, "fails": random.choice([0, 0, 1, 2])}
        return op | {"read": random.choice(["in run", "in a step"])} | self._undo()

    def _undo(self) -> Op:
        """How the step is undone, if it can be."""
        random = self._random
        if random.random() < 0.6:
            return {}
        undo = {"takes_ms": random.choice([0, 0, 5, 30, 700]), "fails": random.choice([0, 0, 0, 1, 2])}
        return {"undo": undo | {"refuses": random.random() < 0.08, "sync": random.random() < 0.5}}

    def failing(self, op: Op) -> Op:
        failing = {"op": "fail", "name": self._name(), "ms": 0, "limit": self._random.randint(0, 2)}
        failing["sync"] = self._random.random() < 0.5
        return {"op": self._random.choice(["sequence", "all"]), "of": [op, failing | self._undo()]}

    def _loser(self) -> Op:
        if self._random.random() < 0.5:
            return {"op": "sleep", "name": self._name(), "ms": 3_600_000}
        name = self._name()
        return {"op": "event", "name": name, "type": f"never-{self._names}"}

    def _name(self) -> str:
        self._names += 1
        return f"op {self._names}"


_LEAVES = {
    "do": 10,
    "flaky": 3,
    "sleep": 3,
    "until": 1,
    "event": 2,
    "no event": 1,
    "late": 1,
    "stream": 1.5,
    "long": 1,
    "slow": 0.5,
    "poison": 0.05,
}
"""`slow` is a step whose first attempt runs into its timeout, `poison` one whose first attempt ends its process."""


def events_of(op: Op) -> list[str]:
    """The types of the events that are waited for and must come, in any order."""
    if op["op"] == "event":
        return [op["type"]]
    if op["op"] == "race":
        return []
    if op["op"] == "loop":
        return events_of(op["of"]) * op["times"]
    inner = op.get("of", [])
    return [type for child in (inner if isinstance(inner, list) else [inner]) for type in events_of(child)]


def payload(event_type: str) -> str:
    return f"payload of {event_type}"


def content(op: Op) -> Iterator[bytes]:
    """What the body of a `stream` gives, piece by piece."""
    for number in range(op["chunks"]):
        yield bytes([(op["value"] + number) % 256]) * op["size"]


def digest(data: bytes) -> list[int]:
    return [len(data), zlib.crc32(data)]


def expected(op: Op) -> Any:
    """What the program returns. Raises Raises."""
    kind = op["op"]
    if kind in ("sequence", "all"):
        return [expected(child) for child in op["of"]]
    if kind == "loop":
        return [expected(op["of"]) for _ in range(op["times"])]
    if kind == "race":
        return expected(op["winner"])
    if kind == "careful":
        try:
            return ["fine", expected(op["of"])]
        except Raises:
            return CAUGHT
    if kind == "fail":
        raise Raises
    answers = {"sleep": None, "until": None, "no event": TIMED_OUT, "late": TIMED_OUT}
    if kind == "event":
        return payload(op["type"])
    if kind == "stream":
        return digest(b"".join(content(op)))
    return answers[kind] if kind in answers else op["value"]
