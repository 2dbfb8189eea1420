"""I/O in `run` is refused with the advice to do it in a step, whichever way of asyncio it was tried."""

from __future__ import annotations

import asyncio
import subprocess
from typing import Any

import pytest

from orchestrator.errors import NotAllowedInWorkflow
from tests.replay.play import Play


def loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


@pytest.mark.parametrize(
    ("called", "attempt"),
    [
        ("create_connection", lambda: asyncio.open_connection("localhost", 80)),
        ("create_server", lambda: asyncio.start_server(print, "localhost", 0)),
        ("create_unix_connection", lambda: asyncio.open_unix_connection("socket")),
        ("run_in_executor", lambda: asyncio.to_thread(print)),
        ("run_in_executor", lambda: loop().run_in_executor(None, print)),
        ("getaddrinfo", lambda: loop().getaddrinfo("localhost", 80)),
        ("getnameinfo", lambda: loop().getnameinfo(("localhost", 80))),
        ("subprocess_exec", lambda: asyncio.create_subprocess_exec("true")),
        ("subprocess_shell", lambda: asyncio.create_subprocess_shell("true")),
        ("create_datagram_endpoint", lambda: loop().create_datagram_endpoint(asyncio.DatagramProtocol)),
        ("sock_connect", lambda: loop().sock_connect(None, None)),  # type: ignore[arg-type]
        ("add_reader", lambda: loop().add_reader(0, print)),
        ("add_signal_handler", lambda: loop().add_signal_handler(2, print)),
        ("call_soon_threadsafe", lambda: loop().call_soon_threadsafe(print)),
        ("connect_read_pipe", lambda: loop().connect_read_pipe(asyncio.Protocol, subprocess.PIPE)),
        ("run_until_complete", lambda: loop().run_until_complete(loop().create_future())),
    ],
)
def test_io_is_refused(called: str, attempt: Any) -> None:
    async def program(step: Any) -> Any:
        found = attempt()
        if asyncio.iscoroutine(found):
            await found

    error = Play(program).error

    assert isinstance(error, NotAllowedInWorkflow)
    assert f"`run` called {called} of the event loop" in str(error)
    assert "Do this in a step" in str(error)


def test_every_method_of_a_loop_is_either_given_or_refused() -> None:
    refused = []

    async def program(step: Any) -> Any:
        for name in dir(asyncio.AbstractEventLoop):
            method = getattr(loop(), name)
            if not name.startswith("_") and method.__name__ == "refused":
                refused.append(name)
            assert getattr(asyncio.AbstractEventLoop, name) is not getattr(type(loop()), name) or name.startswith("__")

    assert Play(program).value is None
    assert {"create_connection", "run_in_executor", "sendfile", "run_forever"} <= set(refused)
    assert not {"call_soon", "call_later", "call_at", "create_task", "create_future", "time"} & set(refused)


def test_a_second_loop_may_not_be_started_within() -> None:
    async def program(step: Any) -> Any:
        nothing = asyncio.sleep(0)
        try:
            asyncio.run(nothing)
        finally:
            nothing.close()

    assert isinstance(Play(program).error, RuntimeError)


def test_the_clock_of_the_loop_is_the_time_of_the_journal() -> None:
    async def program(step: Any) -> Any:
        return loop().time() == step.now().timestamp()

    assert Play(program).value is True


def test_the_loop_of_whoever_drives_the_run_is_put_back() -> None:
    async def drive() -> bool:
        mine = asyncio.get_running_loop()

        async def program(step: Any) -> Any:
            assert asyncio.get_running_loop() is not mine
            await step.do("a", lambda: 1)

        play = Play(program)
        play.execute("a-1")
        play.run.close()
        return asyncio.get_running_loop() is mine and play.ended

    assert asyncio.run(drive())
