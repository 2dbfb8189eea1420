"""Services that do not answer at all, which is worse than being away: nobody hangs, and nothing is lost by it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.site import members
from tests.processes.workers import PATIENCE_S, Site, Stage
from tests.services import ValkeyServer

WORST_S = 1.0
"""What a call may cost that finds out."""
SLOW_MACHINE_S = 5.0


@pytest.fixture
def broker() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


def send(server: ValkeyServer, number: signal.Signals) -> None:
    for pid in members(server.pid):
        os.kill(pid, number)


def test_a_broker_that_does_not_answer_costs_one_call_a_moment_and_the_others_nothing(
    broker: ValkeyServer, postgres_url: str, tmp_path: Path
) -> None:
    with Site(tmp_path, postgres_url, broker.url) as site, Stage(site.client, tmp_path) as stage:
        site.worker()
        assert stage.start("chain", count=2).result(PATIENCE_S) == 1
        waiting = stage.start("approval")

        send(broker, signal.SIGSTOP)
        took, instances = [], []
        for number in range(12):
            began = time.monotonic()
            if number % 2:
                instances.append(stage.start("chain", count=2))
            else:
                waiting.send_event("approval" if number == 0 else "receipt", {"by": "ann"})
            took.append(time.monotonic() - began)
        send(broker, signal.SIGCONT)

        assert max(took) < WORST_S + SLOW_MACHINE_S, took
        assert sorted(took)[len(took) // 2] < WORST_S / 2, "after that it rests"
        assert [instance.result(PATIENCE_S) for instance in instances] == [1] * 6
        assert waiting.result(PATIENCE_S) == {"by": "ann", "receipt": {"by": "ann"}}
