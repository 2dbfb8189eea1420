"""The model agrees with the engine where nothing goes wrong: otherwise chaos would prove nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.statuses import FINITE, InstanceStatus
from tests.chaos import programs
from tests.chaos.app import ChaosAsync, ChaosDef
from tests.chaos.undoing import wrongly_undone
from tests.engine.bench import Bench

TIMES = ("sleep", "until", "no event", "late")
"""Operations that take their time, by the bench's clock."""
CLASSES = {"async": ChaosAsync, "def": ChaosDef}


@pytest.fixture
def bench(sqlite_url: str) -> Iterator[Bench]:
    made = Bench(sqlite_url, moment_ms=60_000)
    yield made
    made.close()


def quick(op: Any) -> Any:
    """The same program with bodies that take no time and leave this process alive."""
    if isinstance(op, list):
        return [quick(child) for child in op]
    if not isinstance(op, dict):
        return op
    faster = {key: quick(value) for key, value in op.items()}
    faster |= {key: 0 for key in ("ms", "takes_ms") if key in op and op.get("op") not in TIMES}
    return {**faster, "op": "do"} if op.get("op") in ("poison", "slow") else faster


@pytest.mark.parametrize("seed", range(6))
def test_what_the_model_predicts_is_what_comes_out(seed: int, bench: Bench, tmp_path: Path) -> None:
    for number in range(8):
        program = programs.generate(seed, number)
        workflow = CLASSES[program.flavour]
        instance = bench.run(workflow, {"op": quick(program.op), "folder": str(tmp_path)}, program.id)
        for event in program.events:
            instance.send_event(event, programs.payload(event))
        for _ in range(500):
            if instance.status().status in FINITE:
                break
            bench.after("1 second")
        state = instance.status()
        with bench.database.read() as connection:
            assert wrongly_undone(connection, instance._pk, program) == [], program
        try:
            assert (state.status, state.output) == (InstanceStatus.COMPLETE, programs.expected(program.op)), program
        except programs.Raises:
            assert state.status == InstanceStatus.ERRORED, program


def test_every_kind_of_operation_comes_up() -> None:
    written = str([programs.generate(1, number).op for number in range(500)])

    for kind in (
        "do",
        "flaky",
        "fail",
        "poison",
        "slow",
        "sleep",
        "until",
        "event",
        "no event",
        "late",
        "stream",
        "all",
        "race",
        "loop",
        "careful",
    ):
        assert f"'op': '{kind}'" in written, kind
    assert "'undo'" in written
