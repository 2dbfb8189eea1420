"""An attempt that others have counted as failed while its body runs in place is followed by what follows a failure."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Connection

from orchestrator import WorkflowEntrypoint
from orchestrator.errors import StepTimeoutError
from orchestrator.serialization import encode, encode_error
from orchestrator.store import attempts, instances
from tests.engine.bench import Bench


@pytest.mark.parametrize("comes_to", ["a result", "a failure", "nothing"])
def test_an_attempt_that_was_counted_as_failed_meanwhile_is_followed_by_the_next(bench: Bench, comes_to: str) -> None:
    began = asyncio.Event()
    ran = []

    class Two(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[Any]:
            return await asyncio.gather(
                step.do("overruled", {"retries": {"limit": 2, "delay": 0}}, overruled), step.do("other", other)
            )

    async def overruled(ctx: Any) -> str:
        ran.append(ctx.attempt)
        if ctx.attempt == 1:
            raise ValueError("the next one has a row of its own")
        if ctx.attempt == 2:
            began.set()
            while not bench.rows("SELECT * FROM @steps WHERE key = 'do:other:1'"):
                await asyncio.sleep(0.001)
            if comes_to == "a failure":
                raise ValueError("too late")
            if comes_to == "nothing":
                await asyncio.sleep(60)
        return "done"

    async def other() -> str:
        await began.wait()
        bench.database.transaction(time_out)
        return "other"

    def time_out(connection: Connection) -> None:
        """As the pump does to a body past its deadline."""
        ((row,),) = bench.rows("SELECT id FROM @attempts WHERE state = 'running'")
        assert instances.lock(connection, instance._pk) is not None
        assert attempts.fail_running(connection, row, error=encode(encode_error(StepTimeoutError.after(1))), now=0)
        instances.want(connection, instance._pk, ring_at=0)

    instance = bench.create(Two)
    bench.work()

    assert instance.result(timeout=0) == ["done", "other"]
    assert ran == [1, 2, 3]
