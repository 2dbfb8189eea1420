"""Carries messages about instances to a queue through kombu; it decides neither what is published nor when."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from kombu import Connection, Exchange, Producer, Queue

from orchestrator.clock import monotonic
from orchestrator.settings import Settings

log = logging.getLogger(__name__)

PATIENCE_S = 5.0
FIRST_REST_S, LONGEST_REST_S = 1.0, 30.0


class KombuPublisher:
    """After a failure it rests for a while, doubling; what is not taken stays with whoever asked."""

    def __init__(self, url: str, queue: str) -> None:
        self._url = url
        self._queue = Queue(queue, Exchange(queue, type="direct"), routing_key=queue, durable=True)
        self._connection: Connection | None = None
        self._rests_until = 0.0
        self._rest_s = FIRST_REST_S

    def publish(self, messages: Sequence[dict[str, Any]]) -> int:
        if monotonic() < self._rests_until:
            return 0
        taken = 0
        try:
            producer = self._producer()
            for message in messages:
                producer.publish(
                    message,
                    routing_key=self._queue.routing_key,
                    serializer="json",
                    delivery_mode="persistent",
                    message_id=str(message["metadata"]["eventId"]),
                    retry=False,
                    declare=[self._queue] if not taken else [],
                )
                taken += 1
            self._rest_s = FIRST_REST_S
        except Exception as error:  # noqa: BLE001 - whatever the transport raises: the rows stay, and are tried again
            log.warning(
                "events can't be published (%s: %s); next try in %.0f s", type(error).__name__, error, self._rest_s
            )
            self.close()
            self._rests_until = monotonic() + self._rest_s
            self._rest_s = min(self._rest_s * 2, LONGEST_REST_S)
        return taken

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    def _producer(self) -> Producer:
        if self._connection is None:
            self._connection = Connection(
                self._url, connect_timeout=PATIENCE_S, transport_options=transport_options(self._url)
            )
            self._connection.connect()
        return Producer(self._connection.default_channel, exchange=self._queue.exchange, auto_declare=False)


def transport_options(url: str) -> dict[str, Any]:
    """A publish counts once the broker has it, and a broker that does not answer is not waited for for ever."""
    if url.startswith(("amqp", "pyamqp")):
        return {"confirm_publish": True, "read_timeout": PATIENCE_S, "write_timeout": PATIENCE_S}
    if url.startswith(("redis", "valkey")):
        return {"socket_timeout": PATIENCE_S, "socket_connect_timeout": PATIENCE_S}
    return {}


def make(settings: Settings) -> KombuPublisher | None:
    """The publisher of the settings; None where nothing is to be published."""
    return None if settings.events_url is None else KombuPublisher(settings.events_url, settings.events_queue)
