"""A little chaos in every run of the tests; `make chaos` is for more of it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.chaos import plan, programs
from tests.chaos.run import run

SECONDS = 15.0
PATIENCE_S = 900.0
"""A few workers start and stop in it, and at the end everything may wait for the slowest of machines."""


@pytest.mark.process
@pytest.mark.timeout(PATIENCE_S)
@pytest.mark.parametrize(("database", "seed"), [("sqlite", 101), ("postgres", 102)])
def test_nothing_is_lost_and_nothing_is_wrong_whatever_breaks(database: str, seed: int, tmp_path: Path) -> None:
    result = run(tmp_path, seed=seed, seconds=SECONDS, workers=2, database=database, at_once=30, every_s=(0.2, 1.5))

    assert result.good, result.report
    assert result.verdict.steps > 0, result.report


def test_a_seed_always_gives_the_same_programs_and_the_same_faults() -> None:
    def of(seed: int) -> object:
        faults = plan.faults(seed, (0.5, 4.0), postgres=True)
        return [programs.generate(seed, number) for number in range(50)], list(itertools.islice(faults, 50))

    assert of(7) == of(7)
    assert of(7) != of(8)


def test_every_kind_of_fault_comes_up() -> None:
    faults = itertools.islice(plan.faults(1, (0.5, 4.0), postgres=True), 200)

    assert {fault.kind for fault in faults} == {*plan.KINDS, *plan.OF_POSTGRES}
