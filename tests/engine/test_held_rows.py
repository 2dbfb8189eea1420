"""A step that a worker has taken is its own from the claim to the commit, and for no longer than it can begin it soon."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.engine import completions, held_rows, turns
from orchestrator.engine.activation import advance
from orchestrator.engine.held_rows import HeldRows
from orchestrator.engine.host import Host
from orchestrator.engine.step_runs import run_steps
from orchestrator.engine.supervisor import Supervisor
from orchestrator.errors import DatabaseUnavailable
from orchestrator.store import instances
from tests.engine.bench import Bench, Bodies
from tests.engine.test_sharing import fan, key_of, results


class Stopwatch:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead_s = 0.0
        real = held_rows.monotonic
        monkeypatch.setattr(held_rows, "monotonic", lambda: real() + self.ahead_s)


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> Stopwatch:
    return Stopwatch(monkeypatch)


# --- the book of them


def test_a_row_is_in_hand_while_somebody_refers_to_it_but_not_for_ever(stopwatch: Stopwatch) -> None:
    rows = HeldRows()
    first, second = rows.hold(1, 7), rows.hold(2, 7)

    assert rows.ids(12.0) == {first.id, second.id} == {1, 2}
    del first
    gc.collect()
    assert rows.ids(12.0) == {2}
    stopwatch.ahead_s = 11.0
    assert rows.ids(12.0) == {2}
    stopwatch.ahead_s = 13.0
    assert rows.ids(12.0) == set()


def test_a_row_that_was_written_off_does_not_begin() -> None:
    rows = HeldRows()
    lost, other = rows.hold(1, 7), rows.hold(2, 7)

    rows.write_off({1})

    assert rows.ids(12.0) == {2}
    assert not rows.begin(lost)
    assert rows.begin(other)


def test_a_row_that_waited_too_long_is_taken_back_once_and_does_not_begin(stopwatch: Stopwatch) -> None:
    rows = HeldRows()
    row, working = rows.hold(1, 7), rows.hold(2, 7)
    row.waits_since = held_rows.monotonic()

    assert rows.take_back(1.0) == []
    stopwatch.ahead_s = 2.0
    assert rows.take_back(1.0) == [row], "and not the one that waits for nothing"
    assert rows.take_back(1.0) == []
    assert not rows.begin(row)
    assert rows.begin(working)


def test_a_row_whose_body_has_begun_is_not_taken_back(stopwatch: Stopwatch) -> None:
    rows = HeldRows()
    row = rows.hold(1, 7)
    row.waits_since = held_rows.monotonic()

    assert rows.begin(row)
    stopwatch.ahead_s = 3600
    assert rows.take_back(1.0) == []


# --- at work


class Elsewhere(WorkflowEntrypoint[Any]):
    """An `async def` step for another fleet, so that it has a row and reports on a thread of its own."""

    bodies: Bodies

    async def run(self, event: Any, step: Any) -> Any:
        async def body() -> str:
            return str(Elsewhere.bodies("there")())

        return await step.do("there", body, queue="other")


def test_a_report_that_waits_to_be_stored_is_not_handed_back(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, goes_on = threading.Event(), threading.Event()
    real = completions.commit_alone

    def slow_database(*args: Any) -> bool:
        waits.set()
        goes_on.wait(30)
        return real(*args)

    monkeypatch.setattr(completions, "commit_alone", slow_database)
    Elsewhere.bodies = bodies
    instance = bench.run(Elsewhere)
    worker, other = (bench.worker(registry=bench.registry, queues=("other",)) for _ in range(2))
    supervisor = Supervisor(worker)
    bench.work(worker)
    assert waits.wait(30), "the body has ended and what it came to is on its way"

    for _ in range(4):
        supervisor.beat()
        supervisor.look_after_bodies()
        bench.clock.advance(bench.settings.grace_ms + 1)
        bench.work(other)
    (row,) = bench.rows("SELECT state, worker FROM @attempts")
    assert tuple(row) == ("running", worker.worker_id)
    goes_on.set()
    bench.settle(worker)
    bench.work()

    assert instance.result(timeout=0) == "there"
    assert bodies.ran == ["there"]


def test_an_attempt_that_was_forgotten_on_the_way_is_handed_back(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its report could not be stored for a reason of our own, so nothing in memory refers to it any more."""
    monkeypatch.setattr(completions, "commit_alone", lambda *args: 1 / 0)
    monkeypatch.setattr(completions.log, "exception", lambda *args: None)  # pytest would keep the traceback's frames
    Elsewhere.bodies = bodies
    instance = bench.run(Elsewhere)
    worker = bench.worker(registry=bench.registry, queues=("other",))
    supervisor = Supervisor(worker)
    bench.work(worker)
    while worker.completions.busy or worker.bodies.busy:
        threading.Event().wait(0.005)
    monkeypatch.undo()
    gc.collect()

    supervisor.beat()
    assert bench.rows("SELECT state FROM @attempts") == [("running",)], "once may be a coincidence"
    supervisor.beat()
    bench.clock.advance(bench.settings.grace_ms + 1)
    bench.settle(worker)
    bench.work()

    assert instance.result(timeout=0) == "there"
    assert bodies.ran == ["there", "there"]


class Again(WorkflowEntrypoint[Any]):
    """Its step has a row from the second attempt on; that one ends when the database has gone away."""

    bodies: Bodies
    go_away: Callable[[], None]

    async def run(self, event: Any, step: Any) -> Any:
        async def body(ctx: Any) -> str:
            if ctx.attempt == 1:
                raise RuntimeError("the first one fails")
            Again.go_away()
            return str(Again.bodies("done")())

        return await step.do("again", {"retries": {"limit": 1, "delay": 0}}, body)


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Nor does it come in a worker with nothing to do."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
def test_an_attempt_that_ended_while_the_database_was_away_is_run_again_though_its_traceback_refers_to_it(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch, stopwatch: Stopwatch
) -> None:
    """Found by chaos: its row stood in the name of a worker that knew nothing of it, and its instance waited for that."""
    away = 0

    def go_away() -> None:
        nonlocal away
        away = 2  # for what it has come to, and for handing it back

    def unless_away(real: Any, *args: Any) -> Any:
        nonlocal away
        if away:
            away -= 1
            raise DatabaseUnavailable("the database is away")
        return real(*args)

    for write in ("transaction", "statement"):
        monkeypatch.setattr(bench.database, write, partial(unless_away, getattr(bench.database, write)))
    Again.bodies, Again.go_away = bodies, go_away
    instance = bench.create(Again)
    supervisor = Supervisor(bench.runtime)
    bench.work()
    monkeypatch.setattr(Again, "go_away", lambda: None)
    for _ in range(3):
        supervisor.beat()
        bench.after("10 seconds")
    assert bench.rows("SELECT state, worker FROM @attempts WHERE attempt = 2") == [("running", bench.runtime.worker_id)]

    stopwatch.ahead_s = bench.settings.lease_ms / 1000
    for _ in range(2):
        supervisor.beat()
    bench.after("10 seconds")
    bench.settle()
    bench.work()

    assert instance.result(timeout=0) == "done"
    assert bodies.ran == ["done", "done"]


@pytest.mark.usefixtures("no_collection")
def test_a_body_that_runs_for_longer_than_a_lease_stays_where_it_is(
    bench: Bench, bodies: Bodies, stopwatch: Stopwatch
) -> None:
    def long() -> str:
        stopwatch.ahead_s += 10 * bench.settings.lease_ms / 1000
        for _ in range(3):
            supervisor.beat()
        return str(bodies("long")())

    class Fan(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[Any]:
            return await asyncio.gather(step.do("long", long), step.do("other", bodies("other")))

    instance = bench.create(Fan)
    supervisor = Supervisor(bench.runtime)
    bench.work()

    assert instance.result(timeout=0) == ["long", "other"]
    assert [step.attempts for step in instance.describe().steps] == [1, 1]
    assert sorted(bodies.ran) == ["long", "other"]


def test_steps_claimed_behind_a_long_body_are_for_others_after_a_moment(
    bench: Bench, bodies: Bodies, stopwatch: Stopwatch
) -> None:
    seen: list[list[str]] = []

    def long() -> str:
        """Of those that were taken together, this one comes first."""
        bodies.ran.append("long")
        stopwatch.ahead_s += 2.0
        supervisor.look_after_bodies()
        run_steps(helper, pk)
        seen.append(list(bodies.ran))
        return "long"

    class Fan(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[Any]:
            made = [step.do("first", bodies("first")), step.do("long", long)]
            return await asyncio.gather(*made, *(step.do(f"behind {n}", bodies(f"behind {n}")) for n in range(3)))

    instance = bench.create(Fan)
    pk = key_of(bench)
    advance(bench.worker(registry=bench.registry, queues=("coordinators",)), pk)
    helper = bench.worker(registry=bench.registry)
    supervisor = Supervisor(bench.runtime)
    run_steps(bench.runtime, pk)
    bench.settle()

    behind = [f"behind {n}" for n in range(3)]
    assert seen == [["first", "long", *behind]]
    assert bodies.ran == ["first", "long", *behind], "and none of them begins here, too"
    assert instance.result(timeout=0) == ["first", "long", *behind]
    assert [step.attempts for step in instance.describe().steps] == [1] * 5


@pytest.mark.parametrize("holding", [False, True], ids=["a helper", "the holder"])
def test_what_ended_before_a_long_body_is_stored_after_a_moment(
    bench: Bench, bodies: Bodies, stopwatch: Stopwatch, holding: bool
) -> None:
    """They were taken together to be stored together, but a body of an hour must not hide a result for an hour."""
    seen: list[list[str]] = []

    def long() -> str:
        bodies.ran.append("long")
        stopwatch.ahead_s += 2.0
        supervisor.look_after_bodies()
        seen.append([row.key for row in bench.rows("SELECT key FROM @steps ORDER BY seq")])
        return "long"

    class Fan(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[Any]:
            made = [step.do(name, bodies(name)) for name in ("first", "short", "shorter")]
            return await asyncio.gather(*made, step.do("long", long))

    instance = bench.create(Fan)
    supervisor = Supervisor(bench.runtime)
    if holding:
        bench.runtime.later = lambda delay_s, call: lambda: None
        advance(bench.runtime, key_of(bench))
    else:
        advance(bench.worker(registry=bench.registry, queues=("coordinators",)), key_of(bench))
        run_steps(bench.runtime, key_of(bench))
    bench.settle()

    assert seen == [["do:first:1", "do:short:1", "do:shorter:1"]]
    assert instance.result(timeout=0) == ["first", "short", "shorter", "long"]
    assert bodies.ran == ["first", "short", "shorter", "long"]
    assert bench.rows("SELECT * FROM @attempts") == []


def test_a_worker_that_stops_leaves_nothing_in_its_name_behind_a_body_that_does_not_end(
    bench: Bench, bodies: Bodies
) -> None:
    """Found by chaos: steps that had ended behind such a body stood in the name of a worker that was on no list."""
    stuck, goes_on = threading.Event(), threading.Event()

    def endless() -> str:
        bodies.ran.append("endless")
        stuck.set()
        goes_on.wait(30)
        return "endless"

    class Fan(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[Any]:
            elsewhere = {"queue": "other"}
            made = [step.do(name, elsewhere, bodies(name)) for name in ("first", "short")]
            made += [step.do("endless", elsewhere, endless), step.do("behind", elsewhere, bodies("behind"))]
            return await asyncio.gather(*made)

    instance = bench.run(Fan)
    worker, other = (bench.worker(registry=bench.registry, queues=("other",)) for _ in range(2))
    host = Host(worker)
    host.start()
    at_work = threading.Thread(target=run_steps, args=(worker, key_of(bench)))
    at_work.start()
    assert stuck.wait(30)

    assert not host.stop(0.05), "a body runs that does not end"

    assert bench.rows("SELECT key FROM @steps ORDER BY seq") == [("do:first:1",), ("do:short:1",)]
    assert set(bench.rows("SELECT state, worker FROM @attempts")) == {("ready", None)}
    assert bench.rows("SELECT * FROM @workers") == []
    goes_on.set()
    at_work.join(30)
    bench.clock.advance(bench.settings.grace_ms + 1)
    bench.work(other)
    bench.work()
    assert instance.result(timeout=0) == ["first", "short", "endless", "behind"]
    assert bodies.ran == ["first", "short", "endless", "endless", "behind"]


def test_what_stands_in_the_name_of_a_worker_on_no_list_is_freed(bench: Bench, bodies: Bodies) -> None:
    """One that was taken for dead comes back, takes a step and an instance, and dies before its next heartbeat."""
    workflow = fan(2, bodies, retries={"limit": 1, "delay": 0})
    instance, idle = bench.create(workflow), bench.create(workflow)
    ghost = bench.worker(registry=bench.registry)
    advance(bench.worker(registry=bench.registry, queues=("coordinators",)), instance._pk)
    assert len(turns.claim(ghost, instance._pk, 2)) == 2
    bench.database.statement(lambda c: instances.claim(c, id=idle._pk, worker=ghost.worker_id, now=0))
    supervisor = Supervisor(bench.runtime)

    supervisor.beat()
    assert bench.rows("SELECT count(*) FROM @attempts WHERE state = 'running'") == [(2,)], "it may be about to beat"
    supervisor.beat()
    for _ in range(3):
        bench.after("10 seconds")

    assert instance.result(timeout=0) == results(2)
    assert [step.attempts for step in instance.describe().steps] == [1, 2, 2, 1]
    assert idle.result(timeout=0) == results(2)


def test_steps_that_are_begun_soon_stay_where_they_were_claimed(bench: Bench, bodies: Bodies) -> None:
    instance = bench.create(fan(20, bodies))
    supervisor = Supervisor(bench.runtime)
    real = bench.runtime.rows.begin

    def begin(row: Any) -> bool:
        supervisor.look_after_bodies()
        return real(row)

    bench.runtime.rows.begin = begin  # type: ignore[method-assign]
    bench.work()

    assert instance.result(timeout=0) == results(20)
    assert sorted(bodies.ran) == sorted(results(20))
