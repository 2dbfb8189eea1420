"""The programs whose histories are kept in `histories/`: like programs of users, they may not change what was recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from orchestrator import BlockingWorkflowStep, WorkflowEntrypoint, WorkflowEvent, WorkflowStep
from orchestrator.errors import EventTimeoutError
from tests.replay.play import Play
from tests.replay.test_cloudflare_program import OnboardingWorkflow, played


class Paid(BaseModel):
    number: int
    amount: float


class Declined(Exception):
    """The bank said no."""


class Orders(WorkflowEntrypoint[dict[str, Any]]):
    async def run(self, event: WorkflowEvent[dict[str, Any]], step: WorkflowStep) -> Any:
        @step.do("charge", retries={"limit": 2, "delay": "1 second"})
        def charge() -> Paid:
            raise AssertionError("answered by the recording")

        reserved = await asyncio.gather(*(step.do("reserve", str, item) for item in event.payload["items"]))
        paid = None
        while paid is None:
            try:
                paid = await charge()
            except Declined as declined:
                await step.do("tell", str, str(declined))
        await step.sleep("cool down", "1 hour")
        try:
            approval = await step.wait_for_event("approval", "approval", timeout="1 day")
            approved = approval.payload["by"]
        except EventTimeoutError:
            approved = None
        try:
            async with asyncio.timeout(60):
                await step.do("ship", str)
        except TimeoutError:
            await step.do("ship by post", str)
        return [reserved, paid.number + 1, approved, str(step.uuid()), step.now().timestamp()]


class Crawler(WorkflowEntrypoint):
    async def run(self, event: WorkflowEvent, step: WorkflowStep) -> Any:
        queue: asyncio.Queue[str] = asyncio.Queue(maxsize=2)
        found: list[str] = []

        async def read(page: str) -> None:
            for link in await step.do("read", str, page):
                await queue.put(link)

        async def collect() -> None:
            while True:
                found.append(await step.do("store", str, await queue.get()))

        collector = asyncio.create_task(collect())
        async with asyncio.TaskGroup() as group:
            for page in ("home", "news", "shop"):
                group.create_task(read(page))
        await asyncio.sleep(5)
        collector.cancel()
        tasks = [asyncio.create_task(step.do("rank", str, link)) for link in found]
        ranked = [await task for task in asyncio.as_completed(tasks)]
        done, pending = await asyncio.wait(
            [asyncio.create_task(step.do(name, str)) for name in ("fast", "slow")], return_when=asyncio.FIRST_COMPLETED
        )
        for task in pending:
            task.cancel()
        return [found, ranked, [task.result() for task in done], await step.do("publish", str)]


class Booking(WorkflowEntrypoint):
    def run(self, event: WorkflowEvent, step: BlockingWorkflowStep) -> Any:
        @step.do
        def flight() -> Any: ...

        @step.do("invoice", depends=[flight])
        def invoice(price: int) -> Any: ...

        booked = step.gather(flight, lambda: step.do("hotel", str), lambda: step.sleep("patience", "1 minute"))
        first = step.race(lambda: step.do("taxi", str), lambda: step.wait_for_event("lift", "lift").payload)
        try:
            step.do("insure", str)
        except LookupError as error:
            booked.append(str(error))
        finally:
            step.do("confirm", str)
        return [*booked, first, invoice(), round(step.random(), 9)]


def orders() -> Play:
    play = Play(Orders, payload={"items": ["tea", "mug"]})
    play.answer("reserve-2", "mug")
    play.answer("reserve-1", "tea")
    play.fail("charge-1", Declined("over the limit"))
    play.answer("tell-1", "told")
    play.answer("charge-2", Paid(number=41, amount=9.5))
    play.fire("cool down-1")
    play.fail("approval-1", EventTimeoutError.after(86_400_000))
    play.fire("asyncio-1")
    play.late("do:ship:1", "too late")
    play.answer("ship by post-1", "sent")
    return play


def crawler() -> Play:
    play = Play(Crawler)
    play.answer("read-2", ["n1", "n2", "n3"])
    play.answer("read-1", ["h1"])
    play.answer("store-1", "n1")
    play.answer("read-3", [])
    for number in (2, 3, 4):
        play.answer(f"store-{number}", f"stored {number}")
    play.fire("asyncio-1")
    for number in (3, 1, 4, 2):
        play.answer(f"rank-{number}", number)
    play.answer("slow-1", "slow won")
    play.late("do:fast:1", "fast came late")
    play.answer("publish-1", "published")
    return play


def booking() -> Play:
    play = Play(Booking)
    play.answer("hotel-1", "hotel")
    play.fire("patience-1")
    play.answer("flight-1", 120)
    play.send("lift-1", "by ann")
    play.fail("insure-1", LookupError("nobody insures this"))
    play.answer("confirm-1", None)
    play.answer("invoice-1", "paid")
    return play


PROGRAMS: dict[str, tuple[type[WorkflowEntrypoint[Any]], Callable[[], Play], Any]] = {
    "orders": (Orders, orders, {"items": ["tea", "mug"]}),
    "crawler": (Crawler, crawler, None),
    "booking": (Booking, booking, None),
    "onboarding": (OnboardingWorkflow, lambda: played("stop"), {"user": "ann"}),
}
