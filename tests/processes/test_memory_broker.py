"""The broker of the embedded service: a message wakes its consumer, and nobody looks for one meanwhile."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection, Consumer, Producer, Queue

PLACE = "woken"
SLOW_MACHINE_S = 10.0


@pytest.fixture
def connection() -> Iterator[Any]:
    with Connection("memory://", transport="tasks.memory_broker:Transport") as connection:
        yield connection
        Queue(PLACE).bind(connection.default_channel).delete()


def publish(connection: Any, body: str) -> None:
    with connection.clone() as another:
        Producer(another).publish(body, routing_key=PLACE, declare=[Queue(PLACE, routing_key=PLACE)])


def test_a_message_from_another_thread_wakes_the_consumer(connection: Any) -> None:
    got: list[float] = []
    with Consumer(connection, Queue(PLACE, routing_key=PLACE), on_message=lambda message: got.append(time.monotonic())):
        timer = threading.Timer(0.2, publish, (connection, "hello"))
        timer.start()
        connection.drain_events(timeout=30)
        timer.join()
        woken_at = time.monotonic()

    assert len(got) == 1
    assert woken_at - got[0] < SLOW_MACHINE_S


def test_nobody_looks_while_there_is_nothing(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    cycle = connection.transport.cycle
    real = cycle.get
    monkeypatch.setattr(cycle, "get", lambda *args, **options: (looks.append(1), real(*args, **options)))
    with (
        Consumer(connection, Queue(PLACE, routing_key=PLACE), on_message=lambda message: message.ack()),
        pytest.raises(socket.timeout),
    ):
        connection.drain_events(timeout=0.5)

    assert len(looks) <= 3


def test_messages_that_came_before_are_delivered_one_by_one(connection: Any) -> None:
    got: list[Any] = []
    with Consumer(
        connection,
        Queue(PLACE, routing_key=PLACE),
        on_message=lambda message: (got.append(message.decode()), message.ack()),
    ):
        publish(connection, "one")
        publish(connection, "two")
        connection.drain_events(timeout=30)
        connection.drain_events(timeout=30)

    assert got == ["one", "two"]
