"""Requests to the server and what may be sent twice; what an answer means is not its business, but whether one came is."""

from __future__ import annotations

import importlib
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from orchestrator.errors import HttpClientNotInstalled, ServerUnavailable
from orchestrator.remote.address import checked_url, path_of
from orchestrator.remote.problems import error_in, object_in, stranger

if TYPE_CHECKING:
    import httpx

CONNECT_S = 5.0
PAGE = 100
"""The most rows a server hands out at once."""
TRIES = 3
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
KEY = "Idempotency-Key"
_SAFE = frozenset({"GET", "HEAD"})
IN_PROGRESS = "idempotency.in_progress"
"""The same request came before, its answer was lost, and it is still being carried out."""
_PASSING = frozenset({502, 503, 504})
"""What a server or proxy answers while it is being replaced."""

Query = Mapping[str, Any]


class Transport:
    """One pool of connections to one server; any thread may use it."""

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        timeout_s: float,
        insecure: bool,
        pause: Callable[[float], object] | None = None,
        wire: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = checked_url(url, insecure=insecure)
        self.timeout_s = timeout_s
        self._pause = pause or threading.Event().wait
        self._httpx = _httpx()
        headers = {"Accept": "application/json", "User-Agent": "orchestrator"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        timeout = self._httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s))
        # What ~/.netrc holds for the host would take the token's place.
        self._http: httpx.Client = self._httpx.Client(
            headers=headers, timeout=timeout, auth=_no_other_authorization, transport=wire
        )

    def close(self) -> None:
        self._http.close()

    def get(self, *segments: str, query: Query | None = None) -> dict[str, Any]:
        return self.ask("GET", *segments, query=query)

    def rows(
        self, *segments: str, within: str, limit: int, cursor: int | None = None, query: Query | None = None
    ) -> list[dict[str, Any]]:
        """So many rows of a list, which stand `within` its pages, asked for page by page."""
        found: list[dict[str, Any]] = []
        while len(found) < limit:
            size = min(limit - len(found), PAGE)
            page = self.get(*segments, query={**(query or {}), "limit": size, "cursor": cursor})
            found += page[within]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        return found

    def ask(self, method: str, *segments: str, **how: Any) -> dict[str, Any]:
        """What `send` brings, read."""
        response = self.send(method, *segments, **how)
        answer = object_in(response.content)
        if answer is None:
            raise stranger(response.status_code, response.content, self.url)
        return answer

    def send(
        self,
        method: str,
        *segments: str,
        query: Query | None = None,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        once: bool = True,
        wait_s: float = 0,
    ) -> httpx.Response:
        """The answer to one request, which is sent again where none came.

        One that changes something has a key, the same each time, by which the server carries it out once; without
        `once` it has none, and is not sent again. `body` is JSON text; `wait_s` is for how long the server was asked
        to wait. Raises the error that the server answers with, ServerUnavailable, ServerFailed.
        """
        changes = method not in _SAFE
        again = once or not changes
        headers = {**(headers or {}), KEY: secrets.token_hex(16)} if changes and once else headers
        request = self._request(method, path_of(*segments), query, body, headers, wait_s)
        for tries_left in range(TRIES - 1, -1, -1):
            try:
                response = self._http.send(request)
            except self._httpx.TransportError as error:
                # A connection that was never made has carried nothing: whatever was to be sent may be sent again.
                if tries_left and (again or isinstance(error, (self._httpx.ConnectError, self._httpx.ConnectTimeout))):
                    self._pause(self._pause_s(TRIES - 1 - tries_left))
                    continue
                raise self._unavailable(error, changes=changes) from None
            if tries_left and again and _passes(response):
                self._pause(self._pause_s(TRIES - 1 - tries_left, response.headers.get("Retry-After")))
                continue
            if response.status_code >= 300 and response.status_code != HTTPStatus.NOT_MODIFIED:
                raise error_in(response.status_code, response.headers, response.content, self.url)
            return response
        raise AssertionError("the last try returns or raises")

    @contextmanager
    def lines(self, *segments: str, query: Query, silence_s: float) -> Iterator[Iterator[str] | None]:
        """The lines of an answer that goes on and on; None for an answer without any. Raises what `send` does."""
        request = self._request("GET", path_of(*segments), query, None, {"Accept": "text/event-stream"}, 0)
        request.extensions["timeout"] = self._httpx.Timeout(silence_s, connect=CONNECT_S).as_dict()
        try:
            response = self._http.send(request, stream=True)
            try:
                if response.status_code >= 300:
                    raise error_in(response.status_code, response.headers, response.read(), self.url)
                yield None if response.status_code == HTTPStatus.NO_CONTENT else response.iter_lines()
            finally:
                response.close()
        except self._httpx.TransportError as error:
            raise self._unavailable(error, changes=False) from None

    def _request(
        self,
        method: str,
        path: str,
        query: Query | None,
        body: str | None,
        headers: Mapping[str, str] | None,
        wait_s: float,
    ) -> httpx.Request:
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        sent = dict(headers or {}) | ({} if body is None else {"Content-Type": "application/json"})
        timeout = self._httpx.Timeout(self.timeout_s + wait_s, connect=min(CONNECT_S, self.timeout_s))
        return self._http.build_request(
            method, f"{self.url}{path}", params=asked, content=body, headers=sent, timeout=timeout
        )

    def _pause_s(self, retry: int, retry_after: str | None = None) -> float:
        if retry_after is not None and retry_after.isdecimal():
            return min(float(retry_after), LONGEST_PAUSE_S)
        return float(min(FIRST_PAUSE_S * 4**retry, LONGEST_PAUSE_S))

    def _unavailable(self, error: Exception, *, changes: bool) -> ServerUnavailable:
        unknown = " Whether it has carried the request out is not known." if changes else ""
        if isinstance(error, self._httpx.ConnectTimeout):
            return ServerUnavailable(
                f"No server answers at {self.url}: it can't be reached within {CONNECT_S:g} seconds."
            )
        if isinstance(error, self._httpx.TimeoutException):
            return ServerUnavailable(
                f"The server at {self.url} did not answer within {self.timeout_s:g} seconds.{unknown}"
            )
        if isinstance(error, self._httpx.ConnectError):
            return ServerUnavailable(f"No server answers at {self.url}: {_reason(error)}.")
        return ServerUnavailable(f"The connection to the server at {self.url} broke: {_reason(error)}.{unknown}")


def _passes(response: httpx.Response) -> bool:
    """Whether the same request may get another answer in a moment."""
    if response.status_code in _PASSING:
        return True
    problem = object_in(response.content) if response.status_code == HTTPStatus.CONFLICT else None
    return problem is not None and problem.get("code") == IN_PROGRESS


def _reason(error: Exception) -> str:
    """The operating system's words where it has some, without its numbers."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno and cause.errno > 0:
            return os.strerror(cause.errno)
        cause = cause.__cause__ or cause.__context__
    return str(error).rstrip(".") or type(error).__name__


def _no_other_authorization(request: httpx.Request) -> httpx.Request:
    return request


def _httpx() -> Any:
    try:
        return importlib.import_module("httpx")
    except ImportError:
        raise HttpClientNotInstalled from None
