"""What type checkers must infer in an `async def run`; read by them, never run."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any, assert_type
from uuid import UUID

from pydantic import BaseModel

from orchestrator import NonRetryableError, ReceivedEvent, StepContext, WorkflowEntrypoint, WorkflowEvent, WorkflowStep


class Order(BaseModel):
    id: str
    amount: float


class Receipt(BaseModel):
    number: int


class Approval(BaseModel):
    by: str


def charge(order: Order, currency: str = "EUR") -> Receipt:
    return Receipt(number=len(order.id) + len(currency))


async def charge_later(order: Order) -> Receipt:
    return Receipt(number=len(order.id))


def charge_once(ctx: StepContext, order: Order) -> Receipt:
    return Receipt(number=ctx.attempt + len(order.id))


async def charge_once_later(ctx: StepContext, order: Order) -> Receipt:
    return Receipt(number=ctx.attempt + len(order.id))


def untyped(order):  # type: ignore[no-untyped-def]
    return order


class Direct(WorkflowEntrypoint[Order]):
    async def run(self, event: WorkflowEvent[Order], step: WorkflowStep) -> Receipt:
        order = event.payload
        assert_type(order, Order)
        assert_type(event.timestamp, datetime)

        assert_type(await step.do("a", charge, order), Receipt)
        assert_type(await step.do("b", charge, order, "USD"), Receipt)
        assert_type(await step.do("c", charge, order, currency="USD"), Receipt)
        assert_type(await step.do("d", charge_later, order), Receipt)
        assert_type(await step.do("e", charge_once, order), Receipt)
        assert_type(await step.do("f", charge_once_later, order), Receipt)
        assert_type(await step.do("g", lambda: 1), int)
        assert_type(await step.do("h", len, [1, 2]), int)
        assert_type(await step.do("i", untyped, order), Any)

        config = {"limit": 3, "delay": "30 seconds", "backoff": "linear"}
        assert_type(await step.do("j", {"timeout": "2 minutes"}, charge, order), Receipt)
        assert_type(await step.do("k", {"retries": {"limit": 1, "delay": 5}}, charge_later, order), Receipt)
        assert_type(await step.do("l", {"timeout": timedelta(minutes=1)}, charge_once, order), Receipt)
        assert_type(await step.do("m", {"queue": "gpu"}, charge_once_later, order), Receipt)
        return Receipt(number=len(config))


class Decorated(WorkflowEntrypoint[Order]):
    name = "decorated"
    queue = "payments"

    async def run(self, event: WorkflowEvent[Order], step: WorkflowStep) -> Receipt:
        order = event.payload

        @step.do
        def plain() -> Receipt:
            return charge(order)

        @step.do
        async def later() -> Receipt:
            return await charge_later(order)

        @step.do("charge")
        def named(ctx: StepContext) -> Receipt:
            if ctx.attempt > ctx.step.count:
                raise NonRetryableError(ctx.idempotency_key, "TooOften")
            return charge(order)

        @step.do(
            "charge later", retries={"limit": 3, "delay": "30 seconds", "backoff": "exponential"}, timeout="2 minutes"
        )
        async def configured() -> Receipt:
            return await charge_later(order)

        @step.do("all options", retries={"limit": 1, "delay": 5, "max_delay": "1 minute", "jitter": 0.5}, queue="gpu")
        def everything() -> list[Receipt]:
            return [charge(order)]

        @step.do(config={"timeout": timedelta(minutes=1)})
        def with_config() -> int:
            return 1

        @step.do("total", depends=[plain, with_config], concurrent=True)
        def total(receipt: Receipt, number: int) -> float:
            return receipt.number + number

        @step.do
        async def by_name(plain: Receipt, later: Receipt) -> tuple[Receipt, Receipt]:
            return plain, later

        assert_type(await plain(), Receipt)
        assert_type(await later(), Receipt)
        assert_type(await named(), Receipt)
        assert_type(await configured(), Receipt)
        assert_type(await everything(), list[Receipt])
        assert_type(await with_config(), int)
        assert_type(await total(), float)
        assert_type(await by_name(), tuple[Receipt, Receipt])
        assert_type(await asyncio.gather(plain(), with_config()), tuple[Receipt, int])
        async with asyncio.TaskGroup() as group:
            task = group.create_task(later())
        assert_type(task.result(), Receipt)
        return await asyncio.wait_for(configured(), 30)


class Waiting(WorkflowEntrypoint):
    async def run(self, event: WorkflowEvent, step: WorkflowStep) -> str:
        assert_type(event.payload, Any)
        await step.sleep("nap", "3 days")
        await step.sleep("nap", timedelta(days=3))
        await step.sleep_until("new year", step.now() + timedelta(days=1))
        typed = await step.wait_for_event("approval", "approval", timeout="24 hours", payload_type=Approval)
        assert_type(typed, ReceivedEvent[Approval])
        assert_type(typed.payload.by, str)
        untyped_event = await step.wait_for_event("anything", "anything")
        assert_type(untyped_event, ReceivedEvent[Any])
        numbers = await step.wait_for_event("numbers", "numbers", payload_type=list[int])
        assert_type(numbers.payload, list[int])
        assert_type(step.now(), datetime)
        assert_type(step.random(), float)
        assert_type(step.uuid(), UUID)
        return typed.payload.by
