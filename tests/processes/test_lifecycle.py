"""Acting on instances while their steps run, wherever workflows run."""

from __future__ import annotations

import pytest

from orchestrator.errors import InstanceTerminated
from tests.processes.workers import PATIENCE_S, Stage, reaches, shown_running

both_kinds = pytest.mark.parametrize("asynchronous", [False, True], ids=["def", "async"])


@both_kinds
def test_a_pause_lets_the_running_step_finish_and_starts_no_other(stage: Stage, asynchronous: bool) -> None:
    instance = stage.start("held", asynchronous=asynchronous)
    stage.ledger.wait("began", "first")

    assert instance.pause().status == "waitingForPause"
    stage.open_gate()
    reaches(instance, "paused")

    assert [step.label for step in instance.describe().steps] == ["first-1"]
    assert stage.ledger.count("ran", 2) == 0
    instance.resume()
    assert instance.result(PATIENCE_S) == ["first", "2"]
    assert (stage.ledger.count("began", "first"), stage.ledger.count("ran", 2)) == (1, 1)


@both_kinds
def test_a_pause_may_be_taken_back_before_the_step_has_ended(stage: Stage, asynchronous: bool) -> None:
    instance = stage.start("held", asynchronous=asynchronous)
    stage.ledger.wait("began", "first")

    instance.pause()
    assert instance.resume().status == "running"
    stage.open_gate()

    assert instance.result(PATIENCE_S) == ["first", "2"]
    assert stage.ledger.count("began", "first") == 1


@both_kinds
def test_a_step_longer_than_a_moment_may_be_paused_over(stage: Stage, asynchronous: bool) -> None:
    instance = stage.start("held", asynchronous=asynchronous)
    shown_running(instance, "first")

    instance.pause()
    stage.open_gate()
    reaches(instance, "paused")

    instance.resume()
    assert instance.result(PATIENCE_S) == ["first", "2"]
    assert (stage.ledger.count("began", "first"), stage.ledger.count("ran", 2)) == (1, 1)


@both_kinds
def test_terminating_ends_the_instance_at_once_and_drops_what_its_step_returns(
    stage: Stage, asynchronous: bool
) -> None:
    instance = stage.start("held", asynchronous=asynchronous)
    stage.ledger.wait("began", "first")

    assert instance.terminate().status == "terminated"
    stage.open_gate()

    with pytest.raises(InstanceTerminated):
        instance.result(PATIENCE_S)
    # Something else that runs after it, so that the step had its time to come back.
    assert stage.start("chain", count=3).result(PATIENCE_S) == 3
    detail = instance.describe()
    assert (detail.status, [step.status for step in detail.steps if step.status == "complete"]) == ("terminated", [])
    assert stage.ledger.count("ran", 2) == 1  # by the chain


@both_kinds
def test_a_restart_in_the_middle_of_a_step_runs_from_the_start(stage: Stage, asynchronous: bool) -> None:
    instance = stage.start("held", asynchronous=asynchronous)
    stage.ledger.wait("began", "first")

    instance.restart()
    stage.ledger.wait("began", "first", times=2)
    stage.open_gate()

    assert instance.result(PATIENCE_S) == ["first", "2"]
    assert stage.ledger.count("ran", 2) == 1
    assert instance.describe().run == 2


def test_a_deleted_instance_leaves_nothing_and_its_id_is_free(stage: Stage) -> None:
    workflow = stage.client.workflow("held")
    instance = workflow.create(stage.plan(), id="once")
    stage.ledger.wait("began", "first")

    instance.delete()
    stage.open_gate()

    assert workflow.create(stage.plan(), id="once").result(PATIENCE_S) == ["first", "2"]
    workflow.get("once").delete()
