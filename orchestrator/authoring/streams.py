"""Outputs that are streams of bytes: what counts as one, what is stored of it as a result, and reading it; no I/O itself."""

from __future__ import annotations

import asyncio
import collections.abc
import io
import json
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

PREVIEW_CHARS = 1024
CUT = "[truncated output]"

ReadChunk = Callable[[int, int], bytes]
"""Reads a chunk of a stream, both by their numbers."""

_BYTES = (bytes, bytearray, memoryview)
_ITERATED = (
    collections.abc.Iterator, collections.abc.Iterable, collections.abc.Generator,
    collections.abc.AsyncIterator, collections.abc.AsyncIterable, collections.abc.AsyncGenerator,
)  # fmt: skip
_PLAIN = frozenset({type(None), bool, int, float, str, list, dict, tuple, bytes})


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What stands in the journal in place of a stream's bytes."""

    stream: int
    bytes: int
    chunks: int
    preview: str | None
    """How it begins, if it is text and may be seen."""

    def to_text(self) -> str:
        return _MARK + json.dumps(asdict(self))

    @property
    def summary(self) -> str:
        """What people see of it: its beginning, or how large it is."""
        return self.preview if self.preview is not None else f"[ReadableStream (binary): {self.bytes} bytes]"


_MARK = " "
"""No JSON of ours begins with a space, so that a stream can't be taken for a value that looks like its description."""


def stream_info(result: str | None) -> StreamInfo | None:
    """The description of a stream that is stored as a result; None for any other result."""
    return StreamInfo(**json.loads(result)) if result is not None and result.startswith(_MARK) else None


class ByteStream:
    """The bytes that a step has returned as a stream. It can be read any number of times, each time from the start.

    `for chunk in stream`, `async for chunk in stream`, `stream.read()` or `await stream.aread()` for all at once. The
    chunks are not those in which it was written. Raises StepOutputCorrupt if it was removed meanwhile.
    """

    def __init__(self, info: StreamInfo, read_chunk: ReadChunk) -> None:
        self._info = info
        self._read_chunk = read_chunk

    def __repr__(self) -> str:
        return f"<ByteStream of {self.size} bytes>"

    @property
    def size(self) -> int:
        """In bytes."""
        return self._info.bytes

    def __iter__(self) -> Iterator[bytes]:
        for number in range(self._info.chunks):
            yield self._read_chunk(self._info.stream, number)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        # The loop of a workflow has no threads; what it reads here was recorded, so reading it is no I/O of its own.
        at_once = getattr(asyncio.get_running_loop(), "reads_recorded_bytes", False)
        for number in range(self._info.chunks):
            given = self._info.stream, number
            yield self._read_chunk(*given) if at_once else await asyncio.to_thread(self._read_chunk, *given)

    def read(self) -> bytes:
        return b"".join(self)

    async def aread(self) -> bytes:
        return b"".join([chunk async for chunk in self])


def is_stream_type(annotation: Any) -> bool:
    """Whether a return annotation says that what comes is a stream of bytes."""
    if annotation in (ByteStream, typing.BinaryIO):
        return True
    if isinstance(annotation, type) and issubclass(annotation, io.IOBase):
        return True
    arguments = typing.get_args(annotation)
    if not arguments or typing.get_origin(annotation) not in (*_ITERATED, typing.IO):
        return False
    element = arguments[0]
    return all(one in _BYTES for one in (typing.get_args(element) or (element,)))


def is_stream(value: Any, *, expected: bool, typed: bool) -> bool:
    """Whether what a body has returned is to be stored as a stream.

    `expected`: its annotation says so. `typed`: its annotation says something else, and iterators that fit it are values.
    """
    kind = type(value)
    if kind in _PLAIN and not expected:
        return False
    if hasattr(kind, "__aiter__"):
        return True
    return hasattr(kind, "__iter__") if expected else hasattr(kind, "__next__") and not typed
