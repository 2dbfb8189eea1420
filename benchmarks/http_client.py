"""An HTTP client that costs next to nothing: with a common one and 200 requests at once, the client is what is measured.

Only what one server on this machine needs: POST, JSON, HTTP/1.1 connections that are kept and used again.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class HttpError(Exception):
    """The server answered with an error; the message has its words."""


class HttpClient:
    """As many connections as there are requests at once; of one event loop."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._free: list[_Connection] = []

    async def post(self, path: str, body: Any) -> Any:
        """The answer's JSON, None if it is empty. Raises HttpError or OSError."""
        reader, writer = self._free.pop() if self._free else await asyncio.open_connection(self._host, self._port)
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: {self._host}:{self._port}\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
        try:
            status, answer = await _read(reader)
        except BaseException:
            writer.close()
            raise
        self._free.append((reader, writer))
        if not 200 <= status < 300:
            raise HttpError(f"{path} was answered with {status}: {answer.decode(errors='replace')[:500]}")
        return json.loads(answer) if answer else None

    def close(self) -> None:
        for _, writer in self._free:
            writer.close()
        self._free.clear()


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if line)
    if headers.get("transfer-encoding") == "chunked":
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(first.split()[1]), body


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(parts)
