"""Messages about instances arrive in a queue of a real broker, also after it was away."""

from __future__ import annotations

from typing import Any

import pytest
from kombu import Connection
from kombu.simple import SimpleQueue

from orchestrator import Settings
from tasks import publisher as publisher_module
from tasks.publisher import FIRST_REST_S, KombuPublisher, make
from tests.services import ValkeyServer


def messages(*numbers: int) -> list[dict[str, Any]]:
    return [{"type": "test", "metadata": {"eventId": number}} for number in numbers]


def received(url: str, queue: str, count: int) -> list[int]:
    found = []
    with Connection(url) as connection, SimpleQueue(connection, queue) as source:
        for _ in range(count):
            message = source.get(timeout=60)
            assert message.content_type == "application/json"
            found.append(message.payload["metadata"]["eventId"])
            message.ack()
    return found


def test_messages_arrive_in_their_order(valkey_url: str) -> None:
    publisher = KombuPublisher(valkey_url, "shop.events")
    assert publisher.publish(messages(1, 2, 3)) == 3
    assert publisher.publish(messages(4)) == 1
    publisher.close()
    assert received(valkey_url, "shop.events", 4) == [1, 2, 3, 4]


def test_a_broker_that_is_away_takes_nothing_and_is_asked_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passed_s = 0.0
    monkeypatch.setattr(publisher_module, "monotonic", lambda: 1000.0 + passed_s)
    with ValkeyServer() as server:
        publisher = KombuPublisher(server.url, "events")
        assert publisher.publish(messages(1)) == 1
        server.stop()
        assert publisher.publish(messages(2)) == 0
        server.start()
        assert publisher.publish(messages(2)) == 0, "it rests"
        passed_s = FIRST_REST_S
        assert publisher.publish(messages(2)) == 1
        publisher.close()


def test_there_is_a_publisher_only_where_one_is_asked_for(valkey_url: str) -> None:
    assert make(Settings()) is None
    publisher = make(Settings(events_url=valkey_url))
    assert publisher is not None
    publisher.close()
