"""Redis's part in resumptions: who waits for which event, by key, and a channel per instance for its watchers.

The database decides everything; a Redis that is away, or was flushed, costs watchers a poll and nothing else.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from orchestrator.clock import monotonic

log = logging.getLogger(__name__)

T = TypeVar("T")

_CHANNEL = "{}:changed:{}"
_WAITER = "{}:waiting:{}:{}"
WAITER_LIVES_S = 366 * 24 * 3600
"""As long as the longest wait for an event, and a day."""
PATIENCE_S = 0.3
REST_S = 2.0


class RedisNotifier:
    def __init__(self, url: str, prefix: str) -> None:
        self._prefix = prefix
        # No retries of redis-py's own: they may send a command twice and make callers wait.
        self._redis = Redis.from_url(
            url,
            socket_timeout=PATIENCE_S,
            socket_connect_timeout=PATIENCE_S,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        self._rests_until = 0.0
        self._local = threading.local()
        self._pause = threading.Event()

    def changed(self, *instance_pks: int) -> None:
        """In one round trip for all of them."""
        if len(instance_pks) == 1:
            self._try(lambda: self._tell(self._redis, *instance_pks))
        elif instance_pks:
            self._try(lambda: self._tell_all(instance_pks))

    def _tell_all(self, instance_pks: Sequence[int]) -> None:
        with self._redis.pipeline(transaction=False) as pipeline:
            for pk in instance_pks:
                self._tell(pipeline, pk)
            pipeline.execute()

    def _tell(self, redis: Redis, instance_pk: int) -> None:
        redis.publish(_CHANNEL.format(self._prefix, instance_pk), "1")

    def waiting(self, instance_pk: int, event_type: str, queue: str) -> None:
        self._try(
            lambda: self._redis.set(_WAITER.format(self._prefix, instance_pk, event_type), queue, ex=WAITER_LIVES_S)
        )

    def resume(self, instance_pk: int, event_type: str) -> str | None:
        return cast(
            str | None, self._try(lambda: self._redis.getdel(_WAITER.format(self._prefix, instance_pk, event_type)))
        )

    def wait(self, instance_pk: int, timeout_s: float) -> None:
        """A watcher subscribes at its first wait for an instance and keeps that until it waits for another."""
        started = monotonic()
        if not self._try(lambda: self._heard(instance_pk, timeout_s)):
            self._pause.wait(max(0.0, timeout_s - (monotonic() - started)))

    def _heard(self, instance_pk: int, timeout_s: float) -> bool:
        channel = _CHANNEL.format(self._prefix, instance_pk)
        pubsub = getattr(self._local, "pubsub", None)
        if pubsub is None:
            pubsub = self._redis.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
            self._local.channel = None
        before = self._local.channel
        if before != channel:  # on the connection there is: a new one costs several round trips
            pubsub.subscribe(channel)
            if before is not None:
                pubsub.unsubscribe(before)
            self._local.pubsub, self._local.channel = pubsub, channel
        until = monotonic() + timeout_s
        while (left := until - monotonic()) > 0:
            message = pubsub.get_message(timeout=left)
            if message is not None and message["channel"] == channel:
                break
        return True

    def _try(self, call: Callable[[], T]) -> T | None:
        if monotonic() < self._rests_until:
            return None
        try:
            return call()
        except RedisError as error:
            self._rests_until = monotonic() + REST_S
            self._local.pubsub = None
            log.warning("Redis can't be reached (%s); watchers poll for %.0f s", error, REST_S)
            return None
