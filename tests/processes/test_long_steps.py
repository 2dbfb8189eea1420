"""Steps that outlast a moment, and their timeouts, wherever workflows run: seen, fenced, and in nobody's way."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from orchestrator import Client, Instance
from tests.processes.workers import PATIENCE_S, Stage, shown_running, until

both_kinds = pytest.mark.parametrize("asynchronous", [False, True], ids=["def", "async"])


@both_kinds
def test_a_long_step_is_shown_running_and_gives_its_claim_back(stage: Stage, asynchronous: bool) -> None:
    instance = stage.start("held", asynchronous=asynchronous)
    shown_running(instance, "first")

    (step,) = instance.describe().steps
    assert (step.attempts, step.attempt_log[0].status) == (1, "running")
    assert instance.status().status == "running"
    until(lambda: holder_of(stage.client, instance) is None, "the claim is given back")
    stage.open_gate()
    assert instance.result(PATIENCE_S) == ["first", "2"]
    assert stage.ledger.count("began", "first") == 1


@both_kinds
def test_events_and_moments_are_answered_while_a_long_step_runs(stage: Stage, asynchronous: bool) -> None:
    instance = stage.start("meanwhile", wait_ms=1500, asynchronous=asynchronous)
    shown_running(instance, "long")

    instance.send_event("news", "snow")
    stage.ledger.wait("heard", "snow")
    stage.ledger.wait("rested")

    assert stage.ledger.count("ended", "long") == 0
    stage.open_gate()
    assert instance.result(PATIENCE_S) == ["long", "snow", "rested"]
    assert (stage.ledger.count("began", "long"), stage.ledger.count("heard"), stage.ledger.count("rested")) == (1, 1, 1)


def test_an_async_step_past_its_timeout_is_cancelled(stage: Stage) -> None:
    instance = stage.start("slow", wait_ms=300, asynchronous=True)

    assert instance.result(PATIENCE_S) == "steptimeouterror"
    stage.ledger.wait("cancelled", "slow")
    assert stage.ledger.count("ended", "slow") == 0


def test_an_async_step_may_time_out_long_after_it_gave_its_claim_back(stage: Stage) -> None:
    instance = stage.start("slow", wait_ms=2000, asynchronous=True)

    shown_running(instance, "slow")
    assert instance.result(PATIENCE_S) == "steptimeouterror"
    stage.ledger.wait("cancelled", "slow")


@pytest.mark.parametrize("timeout_ms", [300, 2000])
def test_a_def_step_past_its_timeout_is_given_up_and_its_late_result_dropped(stage: Stage, timeout_ms: int) -> None:
    instance = stage.start("slow", wait_ms=timeout_ms)

    assert instance.result(PATIENCE_S) == "steptimeouterror"
    assert stage.ledger.count("ended", "slow") == 0
    stage.open_gate()
    stage.ledger.wait("ended", "slow")
    # Something else that runs after it, so that its result had the time to do harm.
    assert stage.start("chain", count=3).result(PATIENCE_S) == 3
    detail = instance.describe()
    assert (detail.status, detail.output) == ("complete", "steptimeouterror")
    assert [(step.label, step.status) for step in detail.steps] == [("slow-1", "errored"), ("apologise-1", "complete")]
    assert detail.steps[0].error is not None
    assert detail.steps[0].error["name"] == "StepTimeoutError"


def test_a_timeout_is_noticed_soon_after_it_has_passed(stage: Stage) -> None:
    instance = stage.start("slow", wait_ms=300)
    instance.result(PATIENCE_S)

    (attempt,) = instance.describe().steps[0].attempt_log
    assert attempt.started_at is not None
    assert attempt.ended_at is not None
    assert 300 <= attempt.ended_at - attempt.started_at < 300 + 1000
    stage.open_gate()


def holder_of(client: Client, instance: Instance) -> str | None:
    """Whose claim the instance is; nobody's while it is free for whoever comes."""
    query = text("SELECT holder FROM orchestrator_instances WHERE workflow = :workflow AND instance_id = :id")
    with client.desk.database.read() as connection:
        holder: str | None = connection.execute(query, {"workflow": instance.workflow, "id": instance.id}).scalar_one()
    return holder
