"""Takes messages out of Redis so that none is nowhere for a moment; it must not know what they ask for.

Kombu's own way is BRPOP, and then a second call that writes down what was taken: a process that is killed between the
two takes the message with it (https://github.com/celery/kombu/issues/305). Here Redis moves it to a second list, which
it leaves in the transaction that writes it down. What a dead listener has left there goes back to the queue; that may
bring a message twice, which its id makes harmless.
"""

from __future__ import annotations

from queue import Empty
from typing import Any

from kombu.transport import redis, virtual
from kombu.utils.json import dumps, loads
from kombu.utils.uuid import uuid

from orchestrator.clock import SystemClock, monotonic

TAKEN = ".taken"
"""Behind a queue's name: the list of the messages on their way to a listener."""


class _QoS(redis.QoS):  # type: ignore[misc]  # kombu has no types
    def append(self, message: Any, delivery_tag: str) -> None:
        """Write down what was taken, and take it from the list, at once. The source: `QoS.append` of kombu 5.7."""
        delivery = message.delivery_info
        written = dumps([message._raw, delivery["exchange"], delivery["routing_key"]])
        with self.pipe_or_acquire() as pipe:
            pipe.zadd(self.unacked_index_key, {delivery_tag: SystemClock().now_ms() / 1000})
            pipe.hset(self.unacked_key, delivery_tag, written)
            if self.channel.in_hand is not None:
                pipe.lrem(*self.channel.in_hand)
            pipe.execute()
        self.channel.in_hand = None
        virtual.QoS.append(self, message, delivery_tag)


class Channel(redis.Channel):  # type: ignore[misc]
    """Consumes one queue. The two methods that are replaced are those of kombu 5.7, with BLMOVE for BRPOP."""

    QoS = _QoS
    in_hand: tuple[str, int, bytes] | None = None
    """The list that has the message just being delivered, 1, and the message as it is there."""

    def give_back(self, queue: str) -> int:
        """Return to the queue what this or another listener took and has not written down; how many it was."""
        count = 0
        with self.conn_or_acquire() as client:
            while client.lmove(queue + TAKEN, queue, "LEFT", "RIGHT") is not None:
                count += 1
        return count

    def _brpop_start(self, timeout: float | None = None) -> None:
        for queue in self.active_queues:
            self._in_poll = self.client.connection
            self._brpop_sent_at = monotonic()
            seconds = timeout or self.brpop_timeout
            self.client.connection.send_command("BLMOVE", queue, queue + TAKEN, "RIGHT", "LEFT", seconds)
            return

    def _brpop_read(self, **options: Any) -> bool:
        try:
            item = self.client.parse_response(self.client.connection, "BLMOVE", **options)
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        [queue] = self.active_queues
        if item is None:
            self._take_from_lower_priorities(queue)
            raise Empty
        self.in_hand = (queue + TAKEN, 1, item)
        self.connection._deliver(_envelope(item, queue), queue)
        return True

    def _take_from_lower_priorities(self, queue: str) -> None:
        """They have lists of their own, which are looked at while the first one is empty."""
        with self.conn_or_acquire() as client:
            for priority in self.priority_steps[1:]:
                if client.lmove(self._q_for_pri(queue, priority), queue, "RIGHT", "LEFT") is not None:
                    return


def _envelope(item: bytes, queue: str) -> Any:
    """What kombu wraps a body in. A program without kombu may push the body alone, and it is wrapped here."""
    text = item.decode("utf-8", "replace")
    try:
        found = loads(text)
    except ValueError:
        found = None
    if isinstance(found, dict) and "body" in found and "delivery_tag" in found.get("properties", ()):
        return found
    properties = {"delivery_tag": uuid(), "delivery_info": {"exchange": "", "routing_key": queue}}
    return {"body": text, "content-type": None, "content-encoding": None, "headers": {}, "properties": properties}


class Transport(redis.Transport):  # type: ignore[misc]
    Channel = Channel


def use_for(connection: Any) -> None:
    """Let a `kombu.Connection` that is not open yet take its messages this way, if it is one to Redis."""
    if connection.transport_cls in ("redis", "rediss"):
        connection.transport_cls = Transport
