"""More instances than may be created: every way in says so alike, and when to come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from orchestrator.errors import RateLimited
from orchestrator.remote import RemoteClient
from tests.bad_input.doors import CLOUDFLARE, REST, Ask, of_cloudflare, of_command, of_rest, run
from tests.bad_input.world import World
from web import start

SAID = "Instances of workflow 'orders' may be created at a rate of 4 a second, restarts included; try again in 1.00 seconds."
INSTANCES = "/workflows/orders/instances"
CREATE = Ask("POST", INSTANCES, json={})
BATCH = Ask("POST", f"{INSTANCES}/batch", json={"instances": [{}]})
THEIR_BATCH = Ask("POST", f"{INSTANCES}/batch", json=[{}])
RESTART = Ask("PATCH", f"{INSTANCES}/waits/status", json={"status": "restart"})


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    """Has created as many as it may, and three more are owed."""
    made = World(database_url, creation_rate_per_workflow=4)
    made.bench.clock.advance("1 minute")
    made.client.workflow("orders").create_batch(count=7)
    yield made
    made.close()


@pytest.mark.parametrize("ask", [CREATE, BATCH, RESTART], ids=["create", "batch", "restart"])
def test_over_http_it_is_a_429_that_says_when_to_come_back(world: World, ask: Ask) -> None:
    before = world.rows()
    refusal = of_rest(ask, world.http)
    assert (refusal.number, refusal.code, refusal.text) == (429, "instance.rate_limited", SAID)
    assert ask.send(world.http, REST).headers["Retry-After"] == "1"
    assert world.rows() == before


def test_cloudflares_interface_says_it_in_their_envelope(world: World) -> None:
    refusal, number = of_cloudflare(CREATE, world.http)
    assert (refusal.number, refusal.code, refusal.text, number) == (429, "instance.rate_limited", SAID, 19429)
    for ask in (CREATE, THEIR_BATCH, RESTART):
        answer = ask.send(world.http, CLOUDFLARE)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")


@pytest.mark.parametrize("way", ["database", "server"])
def test_both_clients_and_the_command_line_say_it_and_it_passes(world: World, way: str) -> None:
    with start(world.app, "127.0.0.1", 0) as server, RemoteClient(server.url) as remote:
        client: Any = remote if way == "server" else world.client
        orders = client.workflow("orders")
        asked: list[Callable[[], Any]] = [orders.create, lambda: orders.create_batch([{}]), orders.get("waits").restart]
        for ask in asked:
            with pytest.raises(RateLimited) as refused:
                ask()
            assert (str(refused.value), refused.value.retry_after_s) == (SAID, 1.0)
        environment = {"ORCHESTRATOR_API_URL": server.url} if way == "server" else {}
        trigger = run("trigger", "orders", "{}")
        refusal = of_command(trigger, environment, None if way == "server" else lambda: world.client)
        assert (refusal.code, refusal.number, refusal.text) == ("instance.rate_limited", 4, SAID)
        assert "wait for as long as it says" in str(refusal.members["next"])
        world.bench.clock.advance("1 second")
        orders.create()
