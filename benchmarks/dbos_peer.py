"""DBOS Transact on the same programs: the library in one process with its client, as it is meant to be used."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, Self

from dbos import DBOS, DBOSConfig

from benchmarks.engine import PATIENCE_S, Engine

_attempts: Counter[int] = Counter()


@DBOS.step()
async def noop(i: int) -> dict[str, int]:
    return {"i": i}


@DBOS.step()
def noop_def(i: int) -> dict[str, int]:
    return {"i": i}


@DBOS.step()
async def now_ms() -> float:
    return time.time() * 1000


@DBOS.step(retries_allowed=True, interval_seconds=0.0, max_attempts=3, backoff_rate=1.0)
async def fail_twice(key: int) -> int:
    _attempts[key] += 1
    if _attempts[key] < 3:
        raise ConnectionError(f"attempt {_attempts[key]}")
    return _attempts[key]


@DBOS.workflow()
async def seq(n: int) -> int:
    return sum([(await noop(i))["i"] for i in range(n)])


@DBOS.workflow()
def seq_def(n: int) -> int:
    return sum([noop_def(i)["i"] for i in range(n)])


@DBOS.workflow()
async def fan(n: int) -> int:
    return sum(one["i"] for one in await asyncio.gather(*(noop(i) for i in range(n))))


@DBOS.workflow()
async def event() -> Any:
    return await DBOS.recv_async("it", timeout_seconds=PATIENCE_S)


@DBOS.workflow()
async def timer(due_ms: float) -> list[float]:
    asleep = await now_ms()
    await DBOS.sleep_async((due_ms - asleep) / 1000)
    return [asleep, await now_ms()]


@DBOS.workflow()
async def retry(key: int) -> int:
    return await fail_twice(key)


_ASYNC = {"seq": seq, "fan": fan, "event": event, "timer": timer, "retry": retry}


class Dbos(Engine):
    """The driver's own event loop is the one that runs the workflows, which spares DBOS a hop between threads."""

    longest_seq = 1000
    timer_lead_s = 45.0

    def __init__(self, url: str) -> None:
        self._config: DBOSConfig = {"name": "bench", "system_database_url": url, "log_level": "ERROR"}
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        async def launch() -> None:
            DBOS(config=self._config)
            DBOS.launch()

        self._runner.run(launch())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        DBOS.destroy()
        self._runner.close()

    def start(self, workflow: str, params: dict[str, Any]) -> Any:
        if workflow == "seq_def":
            return DBOS.start_workflow(seq_def, **params)
        return self._await(DBOS.start_workflow_async(_ASYNC[workflow], **params))

    def result(self, handle: Any) -> Any:
        answer = handle.get_result()
        return self._await(answer) if asyncio.iscoroutine(answer) else answer

    def send_event(self, handle: Any, payload: Any) -> None:
        self._await(DBOS.send_async(handle.workflow_id, payload, "it"))

    def run(self, workflow: str, params: dict[str, Any]) -> Any:
        return self.run_all(workflow, [params])[0]

    def run_all(self, workflow: str, params: Sequence[dict[str, Any]]) -> list[Any]:
        if workflow == "seq_def":
            return super().run_all(workflow, params)

        async def one(given: dict[str, Any]) -> Any:
            handle = await DBOS.start_workflow_async(_ASYNC[workflow], **given)
            return await handle.get_result()

        async def every() -> list[Any]:
            return await asyncio.gather(*(one(given) for given in params))

        return self._await(every())

    def start_all(self, workflow: str, params: Sequence[dict[str, Any]]) -> list[Any]:
        async def every() -> list[Any]:
            return await asyncio.gather(*(DBOS.start_workflow_async(_ASYNC[workflow], **given) for given in params))

        return self._await(every())

    def _await(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(coroutine)
