"""What counts as a stream of bytes, by annotation and by value, and how it is described and read."""

from __future__ import annotations

import asyncio
import io
import threading
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable, Iterator
from typing import Any

import pytest

from orchestrator.authoring.shown import shown_output
from orchestrator.authoring.streams import ByteStream, StreamInfo, is_stream, is_stream_type, stream_info


@pytest.mark.parametrize(
    ("annotation", "is_one"),
    [
        (Iterator[bytes], True),
        (Iterable[bytearray], True),
        (Generator[bytes, None, None], True),
        (AsyncIterator[bytes | memoryview], True),
        (AsyncGenerator[bytes, None], True),
        (typing.BinaryIO, True),
        (typing.IO[bytes], True),
        (io.BufferedReader, True),
        (ByteStream, True),
        (Iterator[str], False),
        (Iterable[int], False),
        (list[bytes], False),
        (bytes, False),
        (Iterator, False),
        (Any, False),
        (None, False),
    ],
    ids=str,
)
def test_an_annotation_says_whether_a_stream_comes(annotation: Any, is_one: bool) -> None:
    assert is_stream_type(annotation) is is_one


async def agen() -> AsyncIterator[bytes]:
    yield b""


@pytest.mark.parametrize(
    ("value", "expected", "typed", "is_one"),
    [
        (iter([b"x"]), False, False, True),
        (iter([b"x"]), False, True, False),
        (agen(), False, False, True),
        (io.BytesIO(), False, False, True),
        ([b"x"], False, False, False),
        ([b"x"], True, False, True),
        (b"x", False, False, False),
        ({"a": 1}, False, False, False),
        (None, True, False, False),
        (7, False, False, False),
        (print, False, False, False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_a_stream_by_what_it_can_do(value: Any, expected: bool, typed: bool, is_one: bool) -> None:
    assert is_stream(value, expected=expected, typed=typed) is is_one


def test_a_description_reads_back_and_no_other_result_is_taken_for_one() -> None:
    info = StreamInfo(7, 1000, 1, 'how "it" begins')
    assert stream_info(info.to_text()) == info
    for other in (None, "null", '" {}"', '{"stream": 7, "bytes": 1, "chunks": 1, "preview": null}'):
        assert stream_info(other) is None


@pytest.mark.parametrize(
    ("result", "config", "shown"),
    [
        (None, None, None),
        ('{"a":1}', None, {"a": 1}),
        ('{"a":1}', '{"sensitive": "output"}', "[REDACTED]"),
        (None, '{"sensitive": "output"}', None),
        (StreamInfo(1, 5, 1, "hello").to_text(), None, "hello"),
        (StreamInfo(1, 5, 1, None).to_text(), None, "[ReadableStream (binary): 5 bytes]"),
        (StreamInfo(1, 5, 1, None).to_text(), '{"sensitive": "output"}', "[REDACTED]"),
        ('"x"', '{"queue": "\\"sensitive\\": \\"output\\""}', "x"),
    ],
)
@pytest.mark.cloudflare(24)
def test_people_see_what_they_may(result: str | None, config: str | None, shown: Any) -> None:
    assert shown_output(result, config) == shown


def test_reading_on_a_loop_that_others_use_is_done_beside_it() -> None:
    read_by: list[str] = []

    def read_chunk(stream: int, number: int) -> bytes:
        read_by.append(threading.current_thread().name)
        return bytes([number])

    stream = ByteStream(StreamInfo(1, 3, 3, None), read_chunk)
    assert stream.read() == asyncio.run(stream.aread()) == b"\x00\x01\x02"
    assert read_by[:3] == [threading.current_thread().name] * 3
    assert threading.current_thread().name not in read_by[3:]
    assert repr(stream) == "<ByteStream of 3 bytes>"
