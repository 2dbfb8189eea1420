"""Steps one after another and side by side, and their retries, wherever workflows run."""

from __future__ import annotations

import pytest

from tests.processes.conftest import Service
from tests.processes.workers import PATIENCE_S, Stage


@pytest.mark.parametrize("workflow", ["chain", "blocking-chain"])
def test_ten_steps_run_once_each_and_in_order(stage: Stage, workflow: str) -> None:
    instance = stage.start(workflow, count=10)

    assert instance.result(PATIENCE_S) == sum(range(10))
    assert [line[1] for line in stage.ledger.lines("ran")] == [str(index) for index in range(10)]
    steps = instance.describe().steps
    assert [step.name for step in steps][:10] == [f"step {index}" for index in range(10)]
    assert {step.status for step in steps} == {"complete"}


def test_a_hundred_parallel_async_steps_run_once_each(stage: Stage) -> None:
    instance = stage.start("fan", count=100, asynchronous=True, ms=50)

    assert instance.result(PATIENCE_S) == list(range(100))
    assert sorted(int(line[1]) for line in stage.ledger.lines("ran")) == list(range(100))


def test_parallel_async_steps_wait_together(stage: Stage) -> None:
    detail = _timed(stage, count=100, asynchronous=True, ms=300)

    # One after another they would take half a minute.
    assert detail < 10


def test_a_hundred_parallel_def_steps_run_once_each_and_are_shared(stage: Stage, service: Service) -> None:
    instance = stage.start("fan", count=100, ms=50)

    assert instance.result(PATIENCE_S) == list(range(100))
    assert sorted(int(line[1]) for line in stage.ledger.lines("ran")) == list(range(100))
    assert len(stage.ledger.pids("ran")) == (1 if service.kind == "embedded" else 2)
    workers = {step.attempt_log[-1].worker for step in instance.describe().steps}
    assert len(workers) == len(stage.ledger.pids("ran"))


def test_parallel_def_steps_use_many_slots(stage: Stage) -> None:
    # Five seconds one after another.
    assert _timed(stage, count=100, ms=50) < 4


def test_a_blocking_author_runs_steps_side_by_side(stage: Stage) -> None:
    assert stage.start("blocking-fan", ms=20).result(PATIENCE_S) == [1, 2]
    assert stage.ledger.count("ran") == 2


def test_a_failing_step_is_tried_again_after_its_delay(stage: Stage) -> None:
    instance = stage.start("flaky", count=2, wait_ms=150)

    assert instance.result(PATIENCE_S) == 3
    tries = stage.ledger.lines("tried")
    assert [line[1] for line in tries] == ["1", "2", "3"]
    assert len({line[2] for line in tries}) == 1, "the idempotency key is the same for all attempts"
    (step,) = instance.describe().steps
    assert (step.status, step.attempts) == ("complete", 3)
    first, second, third = step.attempt_log
    assert [first.status, second.status, third.status] == ["errored", "errored", "complete"]
    for failed, following in ((first, second), (second, third)):
        assert failed.ended_at is not None
        assert following.started_at is not None
        assert 150 <= following.started_at - failed.ended_at < 5000


def test_a_retry_starts_when_it_is_due_and_not_when_somebody_happens_to_look(stage: Stage) -> None:
    instance = stage.start("flaky", count=1, wait_ms=300)
    instance.result(PATIENCE_S)

    failed, following = instance.describe().steps[0].attempt_log
    assert failed.ended_at is not None
    assert following.started_at is not None
    # The pump alone, which looks once a second, would be later.
    assert following.started_at - failed.ended_at < 300 + 250


def test_an_error_that_may_not_be_retried_reaches_the_workflow_at_once(stage: Stage) -> None:
    assert stage.start("hopeless").result(PATIENCE_S) == "the card has expired"
    assert stage.ledger.count("tried") == 1


def _timed(stage: Stage, **plan: object) -> float:
    """Seconds from the first step's start to the last one's end."""
    instance = stage.start("fan", **plan)
    instance.result(PATIENCE_S)
    steps = instance.describe().steps
    begins = [step.started_at for step in steps if step.started_at is not None]
    ends = [step.ended_at for step in steps if step.ended_at is not None]
    return (max(ends) - min(begins)) / 1000
