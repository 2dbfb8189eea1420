"""Every row of the table of transitions: what each action does to an instance in each status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.client import Instance
from orchestrator.engine.activation import advance
from orchestrator.engine.chores import do
from orchestrator.errors import ActionNotAllowed, InstanceNotFound
from orchestrator.statuses import InstanceStatus
from orchestrator.transitions import ALLOWED
from tests.engine.bench import Bench

FINISHED = ("complete", "errored", "terminated")


class Story(WorkflowEntrypoint):
    """Waits for what the test has it do, one event at a time."""

    async def run(self, event: Any, step: Any) -> str:
        while True:
            order = await step.wait_for_event("what next", "order", timeout="1 day")
            if order.payload == "finish":
                return "finished"
            if order.payload == "fail":
                raise ValueError("as told")
            await step.do("obey", lambda: None)


def ordered(bench: Bench, order: str) -> Instance:
    instance = bench.run(Story)
    instance.send_event("order", order)
    bench.work()
    return instance


def waiting_for_pause(bench: Bench) -> Instance:
    """Paused while another worker holds it, as long as nobody works."""
    instance = bench.create(Story)
    bench.database.transaction(
        lambda connection: connection.exec_driver_sql(
            "UPDATE orchestrator_instances SET status = 'running', holder = 'host:1:other', fence = 1, started_at = 1"
        )
    )
    instance.pause()
    return instance


def running(bench: Bench) -> Instance:
    instance = waiting_for_pause(bench)
    instance.resume()
    return instance


def acted(name: str) -> Callable[[Bench], Instance]:
    def make(bench: Bench) -> Instance:
        instance = bench.run(Story)
        getattr(instance, name)()
        return instance

    return make


class Undone(WorkflowEntrypoint):
    """Its rollback waits for the next attempt of a handler."""

    async def run(self, event: Any, step: Any) -> None:
        def undo() -> None:
            raise ConnectionError("not yet")

        policy = {"retries": {"limit": 1, "delay": "1 day", "backoff": "constant"}}
        await step.do("charge", lambda: None, rollback=undo, rollback_config=policy)
        raise ValueError("as told")


MAKE: dict[str, Callable[[Bench], Instance]] = {
    "queued": lambda bench: bench.create(Story),
    "running": running,
    "waiting": lambda bench: bench.run(Story),
    "waitingForPause": waiting_for_pause,
    "paused": acted("pause"),
    "terminated": acted("terminate"),
    "complete": lambda bench: ordered(bench, "finish"),
    "errored": lambda bench: ordered(bench, "fail"),
    "rollingBack": lambda bench: bench.run(Undone),
}

TABLE = [
    # from, action, to; None: refused
    ("queued", "pause", "paused"),
    ("queued", "resume", "queued"),
    ("queued", "terminate", "terminated"),
    ("queued", "restart", "queued"),
    ("running", "pause", "waitingForPause"),
    ("running", "resume", "running"),
    ("running", "terminate", "terminated"),
    ("running", "restart", "queued"),
    ("waiting", "pause", "paused"),
    ("waiting", "resume", "waiting"),
    ("waiting", "terminate", "terminated"),
    ("waiting", "restart", "queued"),
    ("waitingForPause", "pause", "waitingForPause"),
    ("waitingForPause", "resume", "running"),
    ("waitingForPause", "terminate", "terminated"),
    ("waitingForPause", "restart", "queued"),
    ("paused", "pause", "paused"),
    ("paused", "resume", "queued"),
    ("paused", "terminate", "terminated"),
    ("paused", "restart", "queued"),
    ("rollingBack", "pause", "paused"),
    ("rollingBack", "resume", "rollingBack"),
    ("rollingBack", "terminate", "terminated"),
    ("rollingBack", "restart", None),
    *((status, action, None) for status in FINISHED for action in ("pause", "resume", "terminate")),
    *((status, "restart", "queued") for status in FINISHED),
]


@pytest.mark.parametrize(("status", "action", "expected"), TABLE)
@pytest.mark.cloudflare(36, 37, 52)
def test_an_action_leads_from_one_status_to_another_or_is_refused(
    bench: Bench, status: str, action: str, expected: str | None
) -> None:
    instance = MAKE[status](bench)
    before = instance.describe()
    assert before.status == status
    assert before.allowed_actions == list(ALLOWED[InstanceStatus(status)])
    if expected is None:
        with pytest.raises(ActionNotAllowed) as refused:
            getattr(instance, action)()
        assert (refused.value.action, refused.value.status) == (action, status)
        assert refused.value.allowed == before.allowed_actions
        assert status in str(refused.value)
        assert ", ".join(before.allowed_actions) in str(refused.value)
        assert instance.describe() == before, "a refused action changes nothing"
    else:
        assert getattr(instance, action)().status == expected
        assert instance.status().status == expected


@pytest.mark.parametrize(("status", "action", "expected"), [row for row in TABLE if row[2] is not None])
@pytest.mark.cloudflare(37)
def test_after_an_action_the_instance_goes_on_as_the_table_says(
    bench: Bench, status: str, action: str, expected: str
) -> None:
    instance = MAKE[status](bench)
    getattr(instance, action)()
    bench.after("10 seconds")
    left_alone = {status: status for status in ("paused", "terminated", "running", "rollingBack")}
    settled = left_alone.get(expected, "waiting")
    if (status, action) == ("waitingForPause", "pause"):
        settled = "waitingForPause"
    if (status, action) == ("running", "pause"):
        settled = "waitingForPause"
    assert instance.status().status == settled


@pytest.mark.parametrize("status", MAKE)
@pytest.mark.cloudflare(48)
def test_an_instance_in_any_status_can_be_deleted_and_its_id_used_again(bench: Bench, status: str) -> None:
    instance = MAKE[status](bench)
    instance.send_event("other", "left over")
    instance.delete()
    workflow = bench.client.workflow(Story)
    with pytest.raises(InstanceNotFound):
        workflow.get(instance.id)
    for act in (instance.status, instance.describe, instance.pause, instance.restart, instance.delete):
        with pytest.raises(InstanceNotFound, match="any more"):
            act()
    with pytest.raises(InstanceNotFound):
        instance.send_event("order", "finish")
    do(bench.runtime)  # what a finished one consisted of is counted first
    bench.work()
    for table in ("instances", "steps", "attempts", "timers", "events", "runs"):
        assert bench.rows(f"SELECT * FROM @{table}") == []
    again = bench.run(Story, id=instance.id)
    assert again.status().status == "waiting"
    with pytest.raises(InstanceNotFound):
        instance.status()
    again.send_event("order", "finish")
    bench.work()
    assert again.result(timeout=0) == "finished"


@pytest.mark.parametrize("status", MAKE)
def test_an_event_is_delivered_kept_or_without_effect(bench: Bench, status: str) -> None:
    instance = MAKE[status](bench)
    instance.send_event("order", "finish")
    bench.after("10 seconds")
    after = {"queued": "complete", "waiting": "complete"}.get(status, status)
    assert instance.status().status == after
    consumed = [row.consumed_by for row in bench.rows("SELECT consumed_by FROM @events ORDER BY id")]
    assert (consumed[-1] is not None) is (after != status)
    if status == "paused":
        instance.resume()
        bench.work()
        assert instance.result(timeout=0) == "finished"


@pytest.mark.parametrize("status", ["paused", *FINISHED])
def test_nobody_takes_up_an_instance_that_is_paused_or_has_ended(bench: Bench, status: str) -> None:
    instance = MAKE[status](bench)
    (before,) = bench.rows("SELECT * FROM @instances")
    advance(bench.runtime, before.id)
    bench.after("29 days")
    assert bench.rows("SELECT * FROM @instances") == [before]
    assert bench.doorbell.due() is None
    assert instance.status().status == status
