"""A mocked result that may be a stream of bytes: read once, so that it can be returned any number of times."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from orchestrator.authoring.streams import ByteStream, is_stream
from orchestrator.testing.misuse import IntrospectionError


def recorded(result: Any) -> Callable[[], Any]:
    """Gives the result whenever it is called. Raises IntrospectionError for a stream that can't be read."""
    if not isinstance(result, ByteStream) and not is_stream(result, expected=False, typed=False):
        return lambda: result
    if _is_used_up(result):
        raise IntrospectionError(
            "Workflow mock_step_result() received a locked or unreadable ReadableStream: give a fresh generator or an "
            "open file, one that nobody has read from."
        )
    chunks = list(result) if isinstance(result, Iterable) else _in_a_thread(_all(result))
    for chunk in chunks:
        if not isinstance(chunk, (bytes, bytearray, memoryview)):
            raise IntrospectionError(
                "Workflow mock_step_result() ReadableStream chunks must be bytes, bytearray or memoryview values, not "
                f"{type(chunk).__name__}. For a list of other values, mock the list itself and not an iterator."
            )
    copies = [bytes(chunk) for chunk in chunks]
    return lambda: iter(copies)


def _is_used_up(stream: Any) -> bool:
    if inspect.isgenerator(stream):
        return inspect.getgeneratorstate(stream) != inspect.GEN_CREATED
    if inspect.isasyncgen(stream):
        return stream.ag_running or stream.ag_frame is None
    return bool(getattr(stream, "closed", False))


async def _all(stream: AsyncIterable[Any]) -> list[Any]:
    return [chunk async for chunk in stream]


def _in_a_thread(coroutine: Coroutine[Any, Any, list[Any]]) -> list[Any]:
    """The test itself may run on a loop."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, coroutine).result()
