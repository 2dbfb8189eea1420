"""Whoever watches one instance after another hears of the one it watches now, and stays connected."""

from __future__ import annotations

import threading
from typing import Any

from redis import Redis

from orchestrator.clock import monotonic
from tasks.notifier import RedisNotifier
from tests.processes.workers import until


def _connections_so_far(redis: Any) -> int:
    return int(redis.info("stats")["total_connections_received"])


def test_a_watcher_of_one_instance_after_another_keeps_its_connection(valkey_url: str) -> None:
    notifier = RedisNotifier(valkey_url, "test")
    with Redis.from_url(valkey_url, decode_responses=True) as redis:
        notifier.wait(1, 0.01)
        before = _connections_so_far(redis)
        for pk in range(2, 12):
            notifier.wait(pk, 0.001)
        assert _connections_so_far(redis) == before
        until(lambda: redis.pubsub_channels("test:changed:*") == ["test:changed:11"], "the others are left")


def test_who_watches_one_of_many_that_have_changed_hears_of_it(valkey_url: str) -> None:
    told, heard = RedisNotifier(valkey_url, "test"), []
    with Redis.from_url(valkey_url, decode_responses=True) as redis, redis.pubsub() as watching:
        watching.psubscribe("test:changed:*")
        assert watching.get_message(timeout=30)["type"] == "psubscribe"
        told.changed()
        told.changed(7, 8)
        told.changed(9)
        for _ in range(3):
            heard.append(watching.get_message(timeout=30)["channel"])
    assert heard == ["test:changed:7", "test:changed:8", "test:changed:9"]


def test_a_change_of_the_one_before_wakes_nobody_and_of_this_one_at_once(valkey_url: str) -> None:
    notifier, told = RedisNotifier(valkey_url, "test"), RedisNotifier(valkey_url, "test")
    took_s: list[float] = []

    def watch() -> None:
        notifier.wait(1, 0.001)
        started = monotonic()
        notifier.wait(2, 60)
        took_s.append(monotonic() - started)

    watcher = threading.Thread(target=watch)
    with Redis.from_url(valkey_url, decode_responses=True) as redis:
        watcher.start()
        until(lambda: redis.pubsub_channels("test:changed:*") == ["test:changed:2"], "the second is watched")
        redis.publish("test:changed:1", "1")
        told.changed(1)
        watcher.join(0.2)
        assert watcher.is_alive()
        told.changed(2)
        watcher.join(30)
    assert not watcher.is_alive()
    assert took_s[0] < 30
