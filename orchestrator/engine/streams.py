"""Storing what a body returns as a stream, chunk by chunk while it comes, and reading it back; it runs in no transaction.

Chunks are committed one by one, without the instance's row, so that a large stream is never in memory as a whole and
nobody waits for it. They count for nothing until the journal refers to their stream.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import inspect
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.authoring.streams import CUT, PREVIEW_CHARS, ReadChunk, StreamInfo
from orchestrator.clock import monotonic
from orchestrator.engine.orders import Order
from orchestrator.errors import (
    DatabaseUnavailable,
    InvalidStepReadableStreamError,
    OversizedStreamChunkError,
    StepOutputCorrupt,
    StepTimeoutError,
    StorageLimitExceeded,
    StreamOver,
    UnsupportedStreamChunkError,
    WorkflowInternalError,
)
from orchestrator.store import streams
from orchestrator.store.database import Database

log = logging.getLogger(__name__)

CHUNK_BYTES = 256 * 1024
MAX_INPUT_BYTES = 16 * 1024 * 1024
_PREVIEW_BYTES = 4 * PREVIEW_CHARS
_GIB = 1024**3
_END = object()


def reader(database: Database) -> ReadChunk:
    def read(stream: int, number: int) -> bytes:
        with database.read() as connection:
            data = streams.chunk(connection, stream, number)
        if data is None:
            raise StepOutputCorrupt(
                f"Chunk {number} of stream {stream} is not there any more: its instance was deleted or restarted."
            )
        return data

    return read


class Streams:
    """Where a worker's bodies put their streams."""

    def __init__(self, database: Database, worker: str, limit_bytes: int) -> None:
        self._database = database
        self._worker = worker
        self._limit_bytes = limit_bytes

    def store(self, order: Order, source: Any) -> str:
        """Read a stream to its end, on this thread; the journal's text for it. Raises what the source raises."""
        _check_fresh(source)
        if hasattr(type(source), "__aiter__") and not hasattr(type(source), "__iter__"):
            return asyncio.run(self.store_async(order, source))
        writer = self._open(order)
        try:
            with contextlib.closing(source) if hasattr(source, "close") else contextlib.nullcontext():
                for data in source:
                    writer.take(data)
                    if monotonic() - order.started > order.config.timeout_ms / 1000:
                        raise StepTimeoutError.after(order.config.timeout_ms)
            return writer.finish()
        except BaseException:
            writer.abort()
            raise

    async def store_async(self, order: Order, source: Any) -> str:
        """As `store`, on the loop of the async bodies; whatever may block is done on a thread beside it."""
        _check_fresh(source)
        writer = await asyncio.to_thread(self._open, order)
        chunks = _async_chunks(source)
        try:
            async with contextlib.aclosing(chunks):
                async for data in chunks:
                    if writer.has_room_for(data):
                        writer.take(data)
                    else:
                        await asyncio.to_thread(writer.take, data)
            return await asyncio.to_thread(writer.finish)
        except BaseException:
            await asyncio.to_thread(writer.abort)
            raise

    def _open(self, order: Order) -> _Writer:
        identity = order.identity
        stream = _stored(order, lambda: self._database.transaction(lambda connection: streams.open_(
            connection, identity.pk, identity.run, order.command.key, order.attempt, self._worker
        )))  # fmt: skip
        if stream is None:
            raise StreamOver
        return _Writer(self._database, order, stream, self._limit_bytes)


class _Writer:
    """One stream while it is written."""

    def __init__(self, database: Database, order: Order, stream: int, limit_bytes: int) -> None:
        self._database = database
        self._order = order
        self._stream = stream
        self._limit_bytes = limit_bytes
        self._pending = bytearray()
        self._chunks = 0
        self._bytes = 0
        self._start = bytearray()

    def has_room_for(self, data: Any) -> bool:
        """Whether taking it needs no write."""
        return isinstance(data, bytes) and len(self._pending) + len(data) < CHUNK_BYTES

    def take(self, data: Any) -> None:
        view = _bytes_of(data)
        self._bytes += len(view)
        self._start += view[: max(_PREVIEW_BYTES + 1 - len(self._start), 0)]
        for begin in range(0, len(view), CHUNK_BYTES):
            self._pending += view[begin : begin + CHUNK_BYTES]
            if len(self._pending) >= CHUNK_BYTES:
                self._write(bytes(self._pending[:CHUNK_BYTES]))
                del self._pending[:CHUNK_BYTES]

    def finish(self) -> str:
        if self._pending:
            self._write(bytes(self._pending))
        if not self._statement(lambda connection: streams.complete(connection, self._stream)):
            raise StreamOver
        preview = None if self._order.config.sensitive else self._preview()
        return StreamInfo(self._stream, self._bytes, self._chunks, preview).to_text()

    def abort(self) -> None:
        """Give it up. If that can't be stored, whoever comes next to this step does it, or who removes the instance."""
        try:
            self._database.statement(lambda connection: streams.drop(connection, self._stream))
        except (DatabaseUnavailable, SQLAlchemyError) as error:
            log.warning("what was stored of stream %d could not be dropped yet: %s", self._stream, error)

    def _write(self, data: bytes) -> None:
        if self._order.given_up:
            raise StreamOver
        identity, number = self._order.identity, self._chunks

        def work(connection: Connection) -> int | None:
            return streams.append(connection, identity.pk, identity.run, self._stream, number, data)

        used = _stored(self._order, lambda: self._database.transaction(work))
        if used is None:
            raise StreamOver
        self._chunks += 1
        if used > self._limit_bytes:
            limit = "1GiB" if self._limit_bytes == _GIB else f"{self._limit_bytes:,} bytes"
            raise StorageLimitExceeded(f"The instance has exceeded the {limit} storage limit")

    def _statement(self, work: Callable[[Connection], Any]) -> Any:
        return _stored(self._order, lambda: self._database.statement(work))

    def _preview(self) -> str | None:
        try:
            text = codecs.getincrementaldecoder("utf-8")().decode(bytes(self._start))
        except UnicodeDecodeError:
            return None
        complete = len(text) <= PREVIEW_CHARS and self._bytes == len(self._start)
        return text if complete else text[:PREVIEW_CHARS] + CUT


def _stored(order: Order, write: Callable[[], Any]) -> Any:
    try:
        return write()
    except (DatabaseUnavailable, SQLAlchemyError) as error:
        log.warning("a stream of step %s could not be stored: %s", order.command.label, error)
        raise WorkflowInternalError(f"Storage failure for {order.command.label} due to internal error.") from error


async def _async_chunks(source: Any) -> AsyncGenerator[Any, None]:
    if hasattr(type(source), "__aiter__"):
        async for data in source:
            yield data
        return
    iterator: Iterator[Any] = iter(source)
    try:
        while (data := await asyncio.to_thread(next, iterator, _END)) is not _END:
            yield data
    finally:
        if hasattr(source, "close"):
            source.close()


def _check_fresh(source: Any) -> None:
    if inspect.isgenerator(source):
        readable = inspect.getgeneratorstate(source) in (inspect.GEN_CREATED, inspect.GEN_SUSPENDED)
    elif inspect.isasyncgen(source):
        readable = not source.ag_running and source.ag_frame is not None
    else:
        readable = not getattr(source, "closed", False)
    if not readable:
        raise InvalidStepReadableStreamError(
            "Step returned a ReadableStream that is already locked or otherwise unreadable. Return a fresh, unlocked "
            "ReadableStream from step.do(): a generator or file that is neither closed nor read by somebody else."
        )


def _bytes_of(data: Any) -> memoryview:
    try:
        view = memoryview(data).cast("B")
    except TypeError:
        raise UnsupportedStreamChunkError(
            "Step returned a ReadableStream with unsupported chunk type. Only bytes, bytearray and memoryview chunks are "
            f"supported, not {type(data).__name__}."
        ) from None
    if len(view) > MAX_INPUT_BYTES:
        raise OversizedStreamChunkError(
            f"Step returned a ReadableStream with a chunk of {len(view):,} bytes. A chunk may have "
            f"{MAX_INPUT_BYTES:,} bytes (16MiB)."
        )
    return view
