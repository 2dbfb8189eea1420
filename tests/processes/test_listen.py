"""Messages in a queue of a real broker are carried out, each once, whatever dies in between."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from kombu import Connection, Queue

from orchestrator import Client, Settings, WorkflowEntrypoint
from orchestrator.authoring.registry import Registry
from orchestrator.clock import monotonic
from orchestrator.engine.host import register
from orchestrator.engine.local import LocalDoorbell
from orchestrator.engine.runtime import Runtime
from orchestrator.errors import DatabaseUnavailable
from orchestrator.store.database import Database
from tasks.listen import Listener
from tasks.redis_inbox import TAKEN
from tests.checkout import ROOT
from tests.services import ValkeyServer

QUEUE = "inbox"
PATIENCE_S = 90


class Orders(WorkflowEntrypoint):
    name = "orders"

    async def run(self, event: Any, step: Any) -> None:
        await step.wait_for_event("approval", "approval")


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    database = Database(database_url)
    settings = Settings(database_url=database_url)
    doorbell = LocalDoorbell(database.clock)
    register(Runtime(database, Registry([Orders]), settings, doorbell))
    yield Client(settings, database=database, doorbell=doorbell)
    database.close()


def publish(url: str, *bodies: Any, **properties: Any) -> None:
    with Connection(url) as connection:
        producer = connection.Producer()
        for number, body in enumerate(bodies):
            given: dict[str, Any] = {"message_id": f"m-{number}", **properties}
            producer.publish(body, routing_key=QUEUE, declare=[Queue(QUEUE, routing_key=QUEUE)], **given)


def create(id: str) -> dict[str, Any]:
    return {"action": "create", "workflow": "orders", "instance_id": id}


@contextmanager
def listening(client: Client, url: str) -> Iterator[Listener]:
    listener = Listener(client, url, QUEUE)
    thread = threading.Thread(target=listener.run)
    thread.start()
    try:
        assert listener.ready.wait(PATIENCE_S)
        yield listener
    finally:
        listener.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


@contextmanager
def started(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=environment, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(true: Callable[[], bool]) -> None:
    until = monotonic() + PATIENCE_S
    while not true():
        assert monotonic() < until
        threading.Event().wait(0.05)


def ids(client: Client) -> set[str]:
    return {view.id for view in client.workflow("orders").list(limit=100)}


def left(url: str) -> int:
    """Messages in the queue, or taken from it and not acknowledged."""
    with Connection(url) as connection, connection.channel() as channel:
        lists = (QUEUE, QUEUE + TAKEN)
        return sum(int(channel.client.llen(name)) for name in lists) + int(channel.client.hlen("unacked"))


def test_messages_are_carried_out_and_acknowledged(client: Client, valkey_url: str) -> None:
    event = {"action": "send_event", "workflow": "orders", "instance_id": "o-1", "type": "approval", "payload": {}}
    publish(valkey_url, create("o-1"), event, create("o-2"))
    with listening(client, valkey_url):
        wait_until(lambda: ids(client) == {"o-1", "o-2"})
        wait_until(lambda: left(valkey_url) == 0)
    assert client.rejected_messages() == []


def test_an_event_that_overtakes_its_instance_waits_for_it(client: Client, valkey_url: str) -> None:
    event = {"action": "send_event", "workflow": "orders", "instance_id": "o-1", "type": "approval"}
    publish(valkey_url, event)
    with listening(client, valkey_url):
        client.workflow("orders").create(id="o-1")
        wait_until(lambda: left(valkey_url) == 0)
    assert client.rejected_messages() == []


def test_poison_is_kept_aside_and_the_others_go_on(
    client: Client, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.listen.PATIENCE_S", 0.1)
    publish(valkey_url, "{", content_type="application/json", content_encoding="utf-8")
    publish(valkey_url, "<order/>", content_type="application/xml", content_encoding="utf-8", message_id="x-1")
    publish(valkey_url, {"action": "create", "workflow": "nothing"}, message_id="n-1")
    publish(valkey_url, create("o-1"), message_id="c-1")
    with listening(client, valkey_url):
        wait_until(lambda: ids(client) == {"o-1"} and left(valkey_url) == 0)
    assert [(row.message_id, row.code) for row in client.rejected_messages()] == [
        ("n-1", "workflow.not_found"), ("x-1", "message.not_json"), ("m-0", "message.invalid"),
    ]  # fmt: skip


def test_a_message_waits_for_a_database_that_is_away(client: Client, valkey_url: str) -> None:
    publish(valkey_url, create("o-1"))
    really, times = client.accept_message, []

    def sometimes(body: Any, **more: Any) -> bool:
        times.append(1)
        if len(times) < 3:
            raise DatabaseUnavailable("away")
        return really(body, **more)

    client.accept_message = sometimes  # type: ignore[method-assign]
    with listening(client, valkey_url):
        wait_until(lambda: ids(client) == {"o-1"} and left(valkey_url) == 0)
    assert client.rejected_messages() == []


def test_a_broker_that_goes_away_is_waited_for(client: Client) -> None:
    with ValkeyServer() as server:
        publish(server.url, create("o-1"))
        with listening(client, server.url):
            wait_until(lambda: ids(client) == {"o-1"})
            server.stop()
            server.start()
            publish(server.url, create("o-2"), message_id="m-9")
            wait_until(lambda: ids(client) == {"o-1", "o-2"})


_DIE_BETWEEN = """
import os, signal, sys
from tasks import redis_inbox

def die(self, message, delivery_tag):
    os.kill(os.getpid(), signal.SIGKILL)

redis_inbox._QoS.append = die
from orchestrator.cli import main
sys.argv = ["orchestrator", "listen", "--from", sys.argv[1], "--queue", sys.argv[2]]
main()
"""


@pytest.mark.process
def test_a_message_is_not_lost_with_a_listener_that_dies_before_it_has_written_down_what_it_took(
    client: Client, valkey_url: str
) -> None:
    publish(valkey_url, create("o-1"))
    command = [sys.executable, "-P", "-c", _DIE_BETWEEN, valkey_url, QUEUE]
    with started(command, environment_of(client)) as dying:
        assert dying.wait(PATIENCE_S) == -signal.SIGKILL
    assert ids(client) == set()
    with listening(client, valkey_url):
        wait_until(lambda: ids(client) == {"o-1"} and left(valkey_url) == 0)


def test_a_message_that_another_program_pushed_without_kombu_is_carried_out(client: Client, valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url) as connection:
        connection.lpush(QUEUE, '{"action": "create", "workflow": "orders", "instance_id": "o-1", "message_id": "p-1"}')
        connection.lpush(QUEUE, "hello")
    with listening(client, valkey_url):
        wait_until(lambda: ids(client) == {"o-1"} and left(valkey_url) == 0)
    assert [row.code for row in client.rejected_messages()] == ["message.invalid"]


def test_messages_of_every_priority_are_carried_out(client: Client, valkey_url: str) -> None:
    for priority in (0, 3, 9):
        publish(valkey_url, create(f"o-{priority}"), priority=priority, message_id=f"p-{priority}")
    with listening(client, valkey_url):
        wait_until(lambda: ids(client) == {"o-0", "o-3", "o-9"} and left(valkey_url) == 0)


def environment_of(client: Client) -> dict[str, str]:
    return {"DATABASE_URL": client.settings.database_url, "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}


@pytest.mark.process
@pytest.mark.timeout(400)
def test_a_listener_that_is_killed_loses_nothing_and_one_that_is_told_ends_well(
    client: Client, valkey_url: str
) -> None:
    count = 30
    publish(valkey_url, *(create(f"o-{n}") for n in range(count)))
    command = [sys.executable, "-P", "-m", "orchestrator", "listen", "--from", valkey_url, "--queue", QUEUE]
    environment = environment_of(client)

    with started(command, environment) as first:
        wait_until(lambda: bool(ids(client)))
        first.kill()
        first.wait()
    with Connection(valkey_url) as connection, connection.channel() as channel:
        # What the dead one had taken comes back after the broker's visibility timeout; the test does not wait for it.
        for tag in channel.client.zrange("unacked_index", 0, -1):
            channel.qos.restore_by_tag(tag)
    with started(command, environment) as second:
        # The first may have done all of the others: that this one has begun is seen by what it does.
        publish(valkey_url, create("for-the-second"), message_id="m-last")
        wait_until(lambda: len(ids(client)) == count + 1 and left(valkey_url) == 0)
        second.send_signal(signal.SIGTERM)
        assert second.wait(PATIENCE_S) == 0
    assert client.rejected_messages() == []
    assert ids(client) == {f"o-{n}" for n in range(count)} | {"for-the-second"}
