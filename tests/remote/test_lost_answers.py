"""A server whose answers get lost on the way: what was asked for is done once all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from orchestrator.remote import RemoteClient
from orchestrator.remote.transport import Transport
from tests.remote.conftest import Both


class Losing(httpx.BaseTransport):
    """The request arrives and is carried out; of each change the first answer is lost."""

    def __init__(self) -> None:
        self._wire = httpx.HTTPTransport()
        self._seen: set[str] = set()
        self.lost = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._wire.handle_request(request)
        key = request.headers.get("Idempotency-Key")
        if key is None or key in self._seen:
            return response
        response.read()
        response.close()
        self._seen.add(key)
        self.lost += 1
        raise httpx.ReadError("the connection broke", request=request)

    def close(self) -> None:
        self._wire.close()


@pytest.fixture
def losing(both: Both) -> Iterator[tuple[RemoteClient, Losing]]:
    wire = Losing()
    client = RemoteClient(both.remote.url)
    client.transport.close()
    client.transport = Transport(
        client.url, None, timeout_s=30, insecure=False, pause=lambda seconds: None, wire=wire
    )  # fmt: skip
    with client:
        yield client, wire


def test_each_change_is_carried_out_once(both: Both, losing: tuple[RemoteClient, Losing]) -> None:
    client, wire = losing
    orders = client.workflow("orders")

    made = [orders.create(), orders.create(id="own"), *orders.create_batch(count=3).created]
    assert sorted(view.id for view in both.local.instances()) == sorted(one.id for one in made)

    both.bench.work()
    own = orders.get("own")
    own.send_event("approval", 1)
    own.restart()
    both.bench.work()
    assert [view.run for view in own.runs()] == [1, 2]
    steps: list[Callable[[], Any]] = [own.pause, own.resume, own.terminate, own.delete]
    for step in steps:
        step()
    schedule = orders.add_schedule("0 7 * * *")
    orders.run_schedule(schedule.id)
    orders.remove_schedule(schedule.id)
    orders.configure(concurrency={"limit": 3})
    assert len(both.local.instances()) == 5
    assert wire.lost == 13
