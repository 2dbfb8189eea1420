"""Restate on the same programs: its server, a Python process that serves the handlers, and an HTTP client with room."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from benchmarks import npm
from benchmarks.child import Child
from benchmarks.engine import Engine, Place
from benchmarks.http_client import HttpClient, HttpError
from tests.services import HOST, free_port

READY_S = 60.0


class Restate(Engine):
    """Requests are answered with the result, so a start is the request and its handle the answer to come."""

    timer_lead_s = 100.0
    """It runs 1,000 at once; those that sleep make room for the others after its inactivity timeout of a minute."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._parts = ExitStack()
        self._runner = asyncio.Runner()
        self._children: list[Child] = []
        self._keys = itertools.count()
        self._ingress: HttpClient

    def __enter__(self) -> Self:
        try:
            self._start_everything()
        except BaseException:
            self._parts.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ingress.close()
        self._runner.close()
        self._parts.close()

    def start(self, workflow: str, params: dict[str, Any]) -> Any:
        return self.start_all(workflow, [params])[0]

    def start_all(self, workflow: str, params: Sequence[dict[str, Any]]) -> list[Any]:
        async def every() -> list[Any]:
            return [self._task(workflow, given) for given in params]

        return self._await(every())

    def result(self, handle: Any) -> Any:
        _, task = handle
        return self._await(task)

    def send_event(self, handle: Any, payload: Any) -> None:
        key, _ = handle
        self._await(self._ingress.post(f"/waits/{key}/send", payload))

    def run(self, workflow: str, params: dict[str, Any]) -> Any:
        return self._await(self._ingress.post(f"/bench/{workflow}", params))

    def run_all(self, workflow: str, params: Sequence[dict[str, Any]]) -> list[Any]:
        async def every() -> list[Any]:
            return await asyncio.gather(*(self._ingress.post(f"/bench/{workflow}", given) for given in params))

        return self._await(every())

    # --- within

    def _task(self, workflow: str, params: dict[str, Any]) -> tuple[int, asyncio.Task[Any]]:
        key = next(self._keys)
        path = f"/waits/{key}/run" if workflow == "event" else f"/bench/{workflow}"
        return key, asyncio.get_running_loop().create_task(self._ingress.post(path, params))

    def _await(self, coroutine: Coroutine[Any, Any, Any] | asyncio.Task[Any]) -> Any:
        if isinstance(coroutine, asyncio.Task):
            return self._runner.get_loop().run_until_complete(coroutine)
        return self._runner.run(coroutine)

    def _start_everything(self) -> None:
        directory = self._place.directory
        ingress, admin, node, handlers = (free_port() for _ in range(4))
        server = {
            "RESTATE_BASE_DIR": str(directory / "restate"),
            "RESTATE_NODE_NAME": "bench",
            "RESTATE_BIND_IP": HOST,
            "RESTATE_BIND_PORT": str(node),
            "RESTATE_LISTEN_MODE": "tcp",
            "RESTATE_INGRESS__BIND_PORT": str(ingress),
            "RESTATE_ADMIN__BIND_PORT": str(admin),
            "RESTATE_DISABLE_TELEMETRY": "true",
            "RESTATE_LOG_FILTER": "error",
        }
        self._child("restate-server", [str(npm.restate_server())], {**os.environ, **server})
        bind = ["--bind", f"{HOST}:{handlers}", "--workers", "1"]
        self._child(
            "handlers", [sys.executable, "-m", "hypercorn", *bind, "benchmarks.restate_service:app"], os.environ
        )
        self._ingress = HttpClient(HOST, ingress)
        self._runner.run(self._register(HttpClient(HOST, admin), f"http://{HOST}:{handlers}"))

    def _child(self, name: str, command: list[str], environment: Any) -> None:
        self._children.append(self._parts.enter_context(Child(name, command, self._place.directory, environment)))

    async def _register(self, admin: HttpClient, handlers: str) -> None:
        give_up_at = time.monotonic() + READY_S
        while True:
            try:
                await admin.post("/deployments", {"uri": handlers})
            except (HttpError, OSError, asyncio.IncompleteReadError) as error:
                if time.monotonic() > give_up_at:
                    raise TimeoutError(f"Restate did not accept the handlers: {error}") from error
            else:
                admin.close()
                return
            for child in self._children:
                child.check(still_patient=True)
            await asyncio.sleep(0.1)
