"""Sleeps and events, wherever workflows run: on time, in order, and never twice."""

from __future__ import annotations

from orchestrator import Instance
from tests.processes.workers import PATIENCE_S, Stage, reaches, until


def test_a_sleep_ends_when_it_is_due_and_holds_no_step_twice(stage: Stage) -> None:
    instance = stage.start("nap", wait_ms=400)

    began, ended = instance.result(PATIENCE_S)
    assert [line[1] for line in stage.ledger.lines("ran")] == ["1", "2"]
    assert ended - began >= 400
    nap = next(step for step in instance.describe().steps if step.name == "nap")
    assert nap.started_at is not None
    assert nap.ended_at is not None
    # The pump alone, which looks once a second, would be later.
    assert 400 <= nap.ended_at - nap.started_at < 400 + 250


def test_a_sleeping_instance_is_said_to_wait_and_for_what(stage: Stage) -> None:
    instance = stage.start("nap", wait_ms=3_600_000)

    reaches(instance, "waiting")
    assert (instance.describe().waiting_for or "").startswith("nap-1 to end")
    instance.terminate()


def test_an_event_wakes_the_instance_that_waits_for_it(stage: Stage) -> None:
    instance, other = stage.start("approval"), stage.start("approval")
    reaches(instance, "waiting")
    reaches(other, "waiting")

    instance.send_event("approval", {"by": "ann"})
    instance.send_event("receipt", [1])

    assert instance.result(PATIENCE_S) == {"by": "ann", "receipt": [1]}
    assert other.status().status == "waiting"
    assert stage.ledger.count("ran", 1) == 2
    assert stage.ledger.count("ran", 2) == 1
    other.terminate()


def test_an_event_is_answered_within_milliseconds(stage: Stage) -> None:
    fastest = min(_answer_ms(stage.start("approval")) for _ in range(5))

    # The pump alone would take a second.
    assert fastest < 300  # a pump that had to find it would take a second at least; a loaded machine may take its time


def test_events_that_came_before_anybody_waited_are_kept_in_their_order(stage: Stage) -> None:
    instance = stage.start("approval")
    instance.send_event("receipt", "early")
    for name in ("ann", "bob"):
        instance.send_event("approval", {"by": name})

    assert instance.result(PATIENCE_S) == {"by": "ann", "receipt": "early"}


def test_an_event_that_does_not_come_is_a_timeout_that_the_workflow_may_answer(stage: Stage) -> None:
    assert stage.start("unanswered", wait_ms=1000).result(PATIENCE_S) == "EventTimeoutError"


def _answer_ms(instance: Instance) -> int:
    """From the moment an approval is stored to the start of the step that it allows."""
    reaches(instance, "waiting")
    instance.send_event("approval", {"by": "ann"})

    def shipped() -> int | None:
        steps = {step.name: step for step in instance.describe().steps}
        if "ship" not in steps:
            return None
        approved, begun = steps["manager approves"].ended_at, steps["ship"].started_at
        assert approved is not None
        return None if begun is None else begun - approved + 1

    took: int = until(shipped, "the goods are shipped")
    instance.terminate()
    return took - 1
