"""Schedules start one instance for each moment, however many pumps there are and whatever they have missed."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator import Schedule, WorkflowClient, WorkflowEntrypoint
from orchestrator.authoring.registry import Registry
from orchestrator.engine import pump
from orchestrator.engine.host import register
from orchestrator.errors import (
    InvalidParams,
    InvalidSchedule,
    ScheduleAlreadyExists,
    ScheduleDeclared,
    ScheduleNotFound,
)
from orchestrator.settings import Settings
from tests.engine.bench import Bench
from tests.engine.clock import START_MS

HOUR_MS = 3_600_000


class Report(WorkflowEntrypoint):
    name = "report"

    async def run(self, event: Any, step: Any) -> Any:
        fired = event.schedule
        return [event.payload, None if fired is None else [fired.cron, fired.scheduled_time]]


def declaring(schedules: Any) -> type[WorkflowEntrypoint[Any]]:
    return type("Declared", (Report,), {"schedules": schedules, "name": "report"})


def deploy(bench: Bench, schedules: Any) -> WorkflowClient[Any]:
    """What a worker that starts with this class writes down."""
    workflow = declaring(schedules)
    bench.registry = Registry([workflow])
    bench.restart_process()
    register(bench.runtime)
    return bench.client.workflow(workflow)


def started(bench: Bench) -> list[str]:
    return [row.instance_id for row in bench.rows("SELECT instance_id FROM @instances ORDER BY id")]


def test_each_moment_starts_an_instance_that_knows_it(bench: Bench) -> None:
    report = deploy(bench, Schedule("0 * * * *", params={"n": 1}))
    bench.after("59 minutes")
    assert started(bench) == []
    bench.after("1 minute")
    bench.after("1 hour")
    first, second = START_MS + HOUR_MS, START_MS + 2 * HOUR_MS
    assert started(bench) == [f"0 * * * *-{first}", f"0 * * * *-{second}"]
    instance = report.get(f"0 * * * *-{first}")
    assert instance.result(timeout=0) == [{"n": 1}, ["0 * * * *", first]]
    assert instance.describe().trigger == "cron"
    instance.restart()
    bench.work()
    assert instance.result(timeout=0) == [{"n": 1}, ["0 * * * *", first]]


def test_instances_that_were_not_scheduled_have_no_schedule(bench: Bench) -> None:
    report = deploy(bench, "0 * * * *")
    instance = report.create()
    bench.work()
    assert instance.result(timeout=0) == [{}, None]


def test_any_number_of_pumps_serve_each_moment_once(bench: Bench) -> None:
    deploy(bench, ["* * * * *", Schedule("*/2 * * * *", "Europe/Berlin")])
    workers = [bench.worker(registry=bench.registry) for _ in range(8)]
    for _ in range(4):
        bench.clock.advance("1 minute")
        together = threading.Barrier(len(workers))

        def tick(worker: Any) -> None:
            together.wait(30)  # noqa: B023
            pump.tick(worker)

        threads = [threading.Thread(target=tick, args=[worker]) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert len(started(bench)) == len(set(started(bench))) == 6
    bench.work()
    assert {row.status for row in bench.client.instances()} == {"complete"}


def test_the_pump_is_back_when_the_next_moment_comes(bench: Bench) -> None:
    deploy(bench, "* * * * *")
    bench.clock.advance(59_800)
    assert pump.tick(bench.runtime) == 200


def test_of_the_moments_nobody_was_there_for_the_last_is_made_up_for(bench: Bench) -> None:
    deploy(bench, ["* * * * *", "0 */6 * * *"])
    bench.after("10 hours 30 seconds")
    assert sorted(started(bench)) == sorted(
        [f"* * * * *-{START_MS + 10 * HOUR_MS}", f"0 */6 * * *-{START_MS + 10 * HOUR_MS}"]
    )
    (minutely, _) = bench.client.schedules()
    assert (minutely.last_at, minutely.next_at) == (START_MS + 10 * HOUR_MS, START_MS + 10 * HOUR_MS + 60_000)


def test_what_was_missed_for_longer_than_the_window_is_let_go(bench: Bench) -> None:
    settings = Settings(database_url=bench.settings.database_url, catch_up_ms=30 * 60_000)
    deploy(bench, ["0 9 * * *", "0 10 * * *"])
    bench.runtime.settings = settings
    bench.after("2 hours 20 minutes")  # 10:20
    assert started(bench) == [f"0 10 * * *-{START_MS + 2 * HOUR_MS}"]
    assert [view.last_at for view in bench.client.schedules()] == [None, START_MS + 2 * HOUR_MS]
    bench.after("23 hours")  # 09:20
    assert len(started(bench)) == 2


def test_a_time_zone_is_kept_through_a_change_of_the_clock(bench: Bench) -> None:
    report = deploy(bench, Schedule("30 2 * * *", "Europe/Berlin"))
    bench.clock.advance(round(datetime(2027, 3, 26, 12, tzinfo=UTC).timestamp() * 1000) - START_MS)
    bench.work()
    made_up_for = len(started(bench))
    for _ in range(4 * 24):
        bench.after("1 hour")
    times = [report.get(id).result(timeout=0)[1][1] for id in started(bench)[made_up_for:]]
    assert [f"{datetime.fromtimestamp(time / 1000, UTC):%m-%d %H:%M}" for time in times] == [
        "03-27 01:30", "03-28 01:00", "03-29 00:30", "03-30 00:30",
    ]  # fmt: skip


@pytest.mark.cloudflare(81)
def test_what_a_class_declares_is_added_changed_and_removed_with_it(bench: Bench) -> None:
    report = deploy(bench, ["0 1 * * *", Schedule("0 2 * * *", params=1)])
    kept = report.add_schedule("0 5 * * *")
    before = {view.cron: view for view in report.schedules()}
    report.pause_schedule(before["0 2 * * *"].id)
    report = deploy(bench, [Schedule("0 2 * * *", params=2), "0 3 * * *"])
    after = {view.cron: view for view in report.schedules()}
    assert sorted(after) == ["0 2 * * *", "0 3 * * *", "0 5 * * *"]
    assert (after["0 2 * * *"].id, after["0 2 * * *"].params, after["0 2 * * *"].paused) == (
        before["0 2 * * *"].id,
        2,
        True,
    )
    assert after["0 5 * * *"] == kept
    report = deploy(bench, ())
    assert [(view.cron, view.source) for view in report.schedules()] == [("0 5 * * *", "api")]


def test_a_schedule_is_paused_and_resumed_without_making_up_for_the_pause(bench: Bench) -> None:
    report = deploy(bench, "0 * * * *")
    (view,) = report.schedules()
    assert (view.workflow, view.timezone, view.paused) == ("report", "UTC", False)
    assert view.next_times == [START_MS + n * HOUR_MS for n in range(1, 6)]
    paused = report.pause_schedule(view.id)
    assert (paused.paused, paused.next_at, paused.next_times) == (True, None, [])
    assert report.pause_schedule(view.id).paused
    bench.after("5 hours 30 minutes")
    assert started(bench) == []
    resumed = report.resume_schedule(view.id)
    assert (resumed.paused, resumed.next_at) == (False, START_MS + 6 * HOUR_MS)
    assert report.resume_schedule(view.id) == resumed
    bench.work()
    assert started(bench) == []
    bench.after("30 minutes")
    assert started(bench) == [f"0 * * * *-{START_MS + 6 * HOUR_MS}"]


def test_a_schedule_is_run_now_beside_its_moments(bench: Bench) -> None:
    report = deploy(bench, Schedule("0 * * * *", params={"n": 1}))
    (view,) = report.schedules()
    report.pause_schedule(view.id)
    runs = [report.run_schedule(view.id) for _ in range(2)]
    assert [run.id for run in runs] == [f"0 * * * *-{START_MS + n}" for n in range(2)]
    bench.work()
    assert runs[0].result(timeout=0) == [{"n": 1}, ["0 * * * *", START_MS]]


def test_a_schedule_that_was_added_from_outside_is_removed_from_outside(bench: Bench) -> None:
    report = deploy(bench, "0 1 * * *")
    added = report.add_schedule("0 7 * * *", "Europe/Berlin", {"n": 2})
    assert (added.timezone, added.params, added.source) == ("Europe/Berlin", {"n": 2}, "api")
    with pytest.raises(ScheduleAlreadyExists, match="already"):
        report.add_schedule("0 7  * * *", "Europe/Berlin")
    with pytest.raises(ScheduleAlreadyExists, match="already"):
        report.add_schedule("0 1 * * *")
    report.remove_schedule(added.id)
    (declared,) = report.schedules()
    with pytest.raises(ScheduleDeclared, match="declared by the class"):
        report.remove_schedule(declared.id)


@pytest.mark.parametrize("id", ["0", "999", "", "x", "-1", "9" * 30, "²"])
def test_a_schedule_that_is_not_there_is_not_found(bench: Bench, id: str) -> None:
    report = deploy(bench, ())
    for act in (report.pause_schedule, report.resume_schedule, report.run_schedule, report.remove_schedule):
        with pytest.raises(ScheduleNotFound):
            act(id)


def test_a_schedule_of_another_workflow_is_not_found(bench: Bench) -> None:
    class Other(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None: ...

    report = deploy(bench, "0 1 * * *")
    with pytest.raises(ScheduleNotFound):
        bench.client.workflow(Other).pause_schedule(report.schedules()[0].id)


def test_a_class_with_a_wrong_schedule_is_no_workflow(bench: Bench) -> None:
    with pytest.raises(InvalidSchedule, match="MON-FRI"):
        Registry([declaring("every day")])


def test_params_of_a_schedule_must_fit_the_workflow(bench: Bench) -> None:
    class Typed(WorkflowEntrypoint[int]):
        schedules = Schedule("0 1 * * *", params="one")

        async def run(self, event: Any, step: Any) -> None: ...

    with pytest.raises(InvalidParams):
        register(bench.worker(Typed))
    with pytest.raises(InvalidParams):
        bench.client.workflow(Typed).add_schedule("0 1 * * *", params="one")  # type: ignore[arg-type]
