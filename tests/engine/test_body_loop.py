"""The loop of the `async def` bodies is driven by the thread that waits for one of them, and by its own for all else."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.engine import async_bodies, body_loop
from orchestrator.engine.async_bodies import AsyncBodies
from orchestrator.engine.body_loop import BodyLoop
from tests.engine.bench import Bench, Bodies
from tests.engine.lending import lend, until

HERE = threading.get_ident


def test_a_guest_drives_it_until_what_it_waits_for_is_there(loop: BodyLoop) -> None:
    ran: list[int] = []

    async def body() -> None:
        await asyncio.sleep(0)
        ran.append(HERE())
        loop.look()

    loop.call(lambda: loop.create_task(body()), will_drive=True)
    assert loop.drive(lambda: bool(ran), None)
    assert ran == [HERE()]
    assert loop.drive(lambda: True, None), "it is still lent"


def test_a_guest_drives_it_no_longer_than_it_would_wait(loop: BodyLoop) -> None:
    assert loop.drive(lambda: False, 0.02)


def test_another_thread_may_end_what_a_guest_waits_for(loop: BodyLoop) -> None:
    over = threading.Event()

    def end() -> None:
        over.set()
        loop.look()

    another = threading.Thread(target=lambda: (until(lambda: loop._driver != 0), end()))
    another.start()
    assert loop.drive(over.is_set, None)
    another.join()


def test_it_has_one_guest_at_a_time(loop: BodyLoop) -> None:
    seen: list[bool] = []

    def come_too() -> None:
        until(lambda: loop._driver != 0)
        seen.append(loop.drive(lambda: True, 0))
        loop.look()

    another = threading.Thread(target=come_too)
    another.start()
    assert loop.drive(lambda: bool(seen), None)
    another.join()
    assert seen == [False]


def test_whoever_will_not_drive_it_has_it_driven_by_its_own_thread_at_once(loop: BodyLoop) -> None:
    ran: list[int] = []
    loop.call(lambda: ran.append(HERE()))
    until(lambda: bool(ran))
    assert ran != [HERE()]
    assert not loop.drive(lambda: True, 0)


def test_what_others_have_on_it_goes_on_while_a_guest_drives_it(loop: BodyLoop) -> None:
    ran: list[int] = []
    another = threading.Thread(
        target=lambda: (until(lambda: loop._driver != 0), loop.call(lambda: (ran.append(HERE()), loop.look())))
    )
    another.start()
    assert loop.drive(lambda: bool(ran), None)
    another.join()
    assert ran == [HERE()]


def test_left_alone_it_goes_back_to_its_own_thread_with_what_bodies_have_left_on_it(
    monkeypatch: pytest.MonkeyPatch, loop: BodyLoop
) -> None:
    ran: list[int] = []
    kept: list[Any] = []

    async def left_behind() -> None:
        await asyncio.sleep(0)
        ran.append(HERE())

    loop.call(lambda: kept.append(loop.create_task(left_behind())), will_drive=True)
    monkeypatch.setattr(body_loop, "LENT_S", 0.005)
    with loop._turn:
        loop._turn.notify()
    until(lambda: bool(ran))
    assert ran != [HERE()]


def test_it_is_not_driven_where_another_loop_runs(loop: BodyLoop) -> None:
    async def within() -> bool:
        return loop.drive(lambda: True, 0)

    assert asyncio.run(within()) is False
    assert loop.drive(lambda: True, 0)


@pytest.mark.parametrize("when", ["lent", "driven", "at home"])
def test_closing_it_cancels_what_is_left(monkeypatch: pytest.MonkeyPatch, loop: BodyLoop, when: str) -> None:
    ended: list[str] = []
    kept: list[Any] = []
    began = threading.Event()

    async def endless() -> None:
        began.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    loop.call(lambda: kept.append(loop.create_task(endless())), will_drive=when != "at home")
    if when == "driven":
        another = threading.Thread(target=lambda: (began.wait(30), loop.close(30)))
        another.start()
        assert loop.drive(lambda: False, None)
        another.join()
    else:
        assert when == "lent" or began.wait(30)
        loop.close(30)
    assert ended == ([] if when == "lent" else ["cancelled"]), "what has not begun is not begun for that"
    assert kept[0].cancelled()
    assert not loop._thread.is_alive()


def test_bodies_that_are_awaited_one_after_another_run_on_the_thread_that_awaits_them(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[int] = []
    loops: set[int] = set()

    class Three(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[int]:
            async def body() -> int:
                ran.append(HERE())
                loops.add(id(asyncio.get_running_loop()))
                return len(ran)

            return [await step.do(f"step {n}", body) for n in range(3)]

    lend(bench.runtime, monkeypatch)
    assert bench.run(Three).result(timeout=0) == [1, 2, 3]
    assert len(loops) == 1
    if bench.in_company:
        assert HERE() not in ran, "this thread has others to go on with meanwhile"
    else:
        assert ran == [HERE()] * 3


def test_whoever_is_the_second_to_want_to_drive_it_has_both_driven_by_its_own_thread(loop: BodyLoop) -> None:
    ran: list[int] = []
    for _ in range(2):
        loop.call(lambda: ran.append(HERE()), will_drive=True)
    until(lambda: len(ran) == 2)
    assert HERE() not in ran


def test_what_a_body_leaves_running_goes_on_when_its_guest_has_gone(loop: BodyLoop) -> None:
    ran: list[int] = []
    kept: list[Any] = []

    async def left_behind() -> None:
        await asyncio.sleep(0.01)
        ran.append(HERE())

    async def body() -> None:
        kept.append(loop.create_task(left_behind()))
        loop.look()

    loop.call(lambda: kept.append(loop.create_task(body())), will_drive=True)
    assert loop.drive(lambda: len(kept) == 2, None)
    until(lambda: bool(ran))
    assert ran != [HERE()]


def test_what_one_guest_has_left_on_it_is_not_held_against_the_next(loop: BodyLoop) -> None:
    kept: list[Any] = []

    async def body() -> None:
        kept.append(loop.create_task(asyncio.sleep(0)))
        loop.look()

    loop.call(lambda: loop.create_task(body()), will_drive=True)
    assert loop.drive(lambda: bool(kept), None)
    until(kept[0].done)
    loop.call(loop.lend, lambda: False)
    until(lambda: loop.drive(lambda: True, 0))
    assert loop.drive(lambda: True, 0), "it is still lent"


def test_it_is_not_lent_while_something_runs_on_it(loop: BodyLoop) -> None:
    kept: list[Any] = []
    over = threading.Event()

    async def body() -> None:
        while not over.is_set():
            await asyncio.sleep(0.005)

    loop.call(lambda: kept.append(loop.create_task(body())))
    for _ in range(20):
        asked = threading.Event()
        loop.call(loop.lend, lambda asked=asked: asked.set())  # type: ignore[misc]
        assert asked.wait(30)
        assert not loop.drive(lambda: True, 0)
    over.set()
    until(lambda: (loop.call(loop.lend, lambda: False), kept[0].done())[1])
    until(lambda: loop.drive(lambda: True, 0))


def test_bodies_on_their_way_when_all_stops_are_not_begun_on_another_loop() -> None:
    ran: list[Any] = []
    bodies, blocked, go_on = AsyncBodies(), threading.Event(), threading.Event()

    async def blocks() -> None:
        blocked.set()
        go_on.wait(30)

    async def late() -> None:
        ran.append("late")

    bodies.start([(blocks, ran.append)])
    assert blocked.wait(30)
    loop = bodies._loop
    assert loop is not None
    bodies.start([(late, ran.append)])
    bodies.stop(0)
    go_on.set()
    until(lambda: not loop._thread.is_alive())
    assert not bodies.wait(lambda: True, 0)
    assert (ran, bodies.busy) == ([None], 0)
    assert bodies._loop is None


def test_a_worker_within_another_loop_leaves_the_bodies_to_their_own_thread(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class One(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[int]:
            async def body() -> int:
                return HERE()

            return [await step.do("one", body), await step.do("two", body)]

    lend(bench.runtime, monkeypatch)

    async def within() -> list[int]:
        found: list[int] = bench.run(One).result(timeout=0)
        return found

    assert HERE() not in asyncio.run(within())


def test_a_body_beside_a_def_body_does_not_wait_for_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    began = threading.Event()

    class Mixed(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> bool:
            async def beside() -> None:
                began.set()

            found = await asyncio.gather(step.do("beside", beside), step.do("long", lambda: began.wait(5)))
            return bool(found[1])

    lend(bench.runtime, monkeypatch)
    assert bench.run(Mixed).result(timeout=0) is True


def test_a_process_whose_thread_drives_a_body_is_not_idle(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    idle: list[bool] = []
    runtime = bench.runtime
    lend(runtime, monkeypatch)

    async def body() -> None:
        idle.append(runtime.idle)
        runtime.bodies.look()

    assert runtime.idle
    runtime.bodies.start([(body, lambda _: None)], will_wait=True)
    assert runtime.bodies.wait(lambda: bool(idle), None)
    assert idle == [False]
    assert runtime.idle


@pytest.mark.parametrize("short_s", [60, 0])
def test_the_loop_is_lent_after_a_short_body_and_not_after_a_long_one(
    monkeypatch: pytest.MonkeyPatch, short_s: int
) -> None:
    monkeypatch.setattr(body_loop, "LENT_S", 60)
    monkeypatch.setattr(async_bodies, "SHORT_S", short_s)
    bodies = AsyncBodies()
    bodies.start([(lambda: asyncio.sleep(0), lambda _: None)])
    until(lambda: bodies.busy == 0)
    assert not bodies.wait(lambda: True, 0), "nobody has wanted it yet; now it is wanted"
    for _ in range(20):
        done = threading.Event()
        bodies.start([(lambda: asyncio.sleep(0), lambda _, done=done: done.set())])  # type: ignore[misc]
        assert done.wait(30)
        if short_s == 0:
            assert not bodies.wait(lambda: True, 0)
    if short_s:
        until(lambda: bodies.busy == 0)
        assert not bodies.wait(lambda: True, 0), "it is not lent for a second time until it is wanted again"
        bodies.start([(lambda: asyncio.sleep(0), lambda _: None)])
        until(lambda: bodies.wait(lambda: True, 0))
    bodies.stop()


@pytest.mark.parametrize("reason", ["another body", "a long wait"])
def test_a_guest_gives_the_loop_back_where_it_would_stand_still(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    bodies, over, went_on = bench.runtime.bodies, threading.Event(), threading.Event()
    lend(bench.runtime, monkeypatch)

    async def other() -> int:
        while not over.is_set():
            await asyncio.sleep(0.005)
        return HERE()

    def end(_: Any = None) -> None:
        over.set()
        bodies.look()

    ran: list[int] = []
    if reason == "another body":

        async def body() -> None:
            bodies.start([(other, lambda where: (ran.append(where), went_on.set()))])

        bodies.start([(body, end)], will_wait=True)
        assert bodies.wait(over.is_set, None)
        assert went_on.wait(30)
        assert ran != [HERE()]
    else:
        monkeypatch.setattr(async_bodies, "SHORT_S", 0)
        bodies.start([(lambda: asyncio.sleep(0), end)], will_wait=True)
        assert bodies.wait(over.is_set, None)
    assert not bodies.wait(lambda: True, 0)


def test_bodies_side_by_side_go_on_while_one_of_them_is_stored(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest that waits for one of several would let the others stand still meanwhile."""
    ran: dict[str, int] = {}
    told = threading.Event()

    class Two(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            async def quick() -> None:
                ran["quick"] = HERE()

            async def slow() -> None:
                for _ in range(6000):
                    if told.is_set():
                        break
                    await asyncio.sleep(0.005)
                ran["slow"] = HERE()

            await asyncio.gather(step.do("slow", slow), step.do("quick", quick))

    lend(bench.runtime, monkeypatch)
    bench.create(Two)
    watched = threading.Thread(target=lambda: (until(lambda: bool(bench.rows("SELECT 1 FROM @steps"))), told.set()))
    watched.start()
    bench.work()
    watched.join()
    assert HERE() not in ran.values()
    assert bench.rows("SELECT status FROM @instances")[0].status == "complete"
