"""The faults of a seed, in their order: what is broken after how long, whom it meets and how hard; it breaks nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

T = TypeVar("T")

KINDS: Mapping[str, float] = {
    "kill worker": 5,
    "kill child": 3,
    "freeze worker for long": 3,
    "freeze worker shortly": 2,
    "stop worker": 4,
    "flush broker": 2,
    "restart broker": 2,
    "freeze broker": 1,
}
"""How often each comes up, compared with the others."""
OF_POSTGRES: Mapping[str, float] = {"restart database": 2, "crash database": 1, "freeze database": 1}


@dataclass(frozen=True)
class Fault:
    kind: str
    rest_s: float
    """How long nothing is broken before it."""
    whom: float
    """Which of those that it may meet, from 0 to 1: how many there are is not known before."""
    hard: float
    """From 0 to 1."""
    gently: bool
    """Where there is a gentle and a rough way."""

    def one_of(self, those: Sequence[T]) -> T:
        return those[min(int(self.whom * len(those)), len(those) - 1)]

    def between(self, least: float, most: float) -> float:
        return least + (most - least) * self.hard


def faults(seed: int, every_s: tuple[float, float], *, postgres: bool) -> Iterator[Fault]:
    """Without an end. Each takes as many numbers from the generator, whatever becomes of it, so a seed is a plan."""
    random = Random(f"faults/{seed}")
    kinds, weights = zip(*(KINDS | (OF_POSTGRES if postgres else {})).items(), strict=True)
    while True:
        kind = random.choices(kinds, weights)[0]
        yield Fault(kind, random.uniform(*every_s), random.random(), random.random(), random.random() < 0.5)
