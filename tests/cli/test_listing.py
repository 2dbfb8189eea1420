"""Lists of instances: what is asked of the client, how times may be given, and what fits into a terminal."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from orchestrator.cli.times import moment_ms
from orchestrator.clock import SystemClock
from orchestrator.errors import UsageError
from tests.cli.conftest import Orchestrator
from tests.cli.stub import StubClient, detail

NOW = 1_790_000_000_000
HOUR = 3_600_000


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    os.environ.pop("TZ", None)
    time.tzset()


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("now", NOW),
        ("24h", NOW - 24 * HOUR),
        ("15 minutes", NOW - HOUR // 4),
        ("1970-01-02", 24 * HOUR),
        ("1970-01-02T01:00", 25 * HOUR),
        ("1970-01-02T01:00Z", 25 * HOUR),
        ("1970-01-02 01:00:00+01:00", 24 * HOUR),
    ],
)
def test_a_time_is_a_day_a_moment_or_how_long_ago(given: str, meant: int) -> None:
    assert moment_ms(given, NOW, what="--date-start") == meant


def test_a_day_as_an_end_is_its_last_moment() -> None:
    assert moment_ms("1970-01-01", NOW, what="--date-end", end_of_day=True) == 24 * HOUR - 1


@pytest.mark.parametrize("given", ["", "yesterday", "2026-13-01", "12", "-5 minutes", "24:00"])
def test_a_time_that_can_not_be_read_is_refused_with_what_can(given: str) -> None:
    with pytest.raises(UsageError, match=r"--date-start can't be read from .*how long ago"):
        moment_ms(given, NOW, what="--date-start")


def test_all_that_narrows_a_list_reaches_the_client(client: StubClient, orchestrator: Orchestrator) -> None:
    before = SystemClock().now_ms()

    result = orchestrator(
        "instances", "list", "orders", "--date-start", "24h", "--date-end", "1970-01-01", "--cursor", "7"
    )

    ((_, _, asked),) = client.calls
    assert result.exit_code == 0
    assert asked.keys() == {"limit", "before", "since", "until"}
    assert (asked["before"], asked["until"]) == (7, 24 * HOUR - 1)
    assert before - 24 * HOUR <= asked["since"] <= SystemClock().now_ms() - 24 * HOUR
    assert "No instances like that." in result.stderr


def test_the_instances_of_all_workflows_are_listed_with_theirs(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-1"))

    result = orchestrator("instances", "list", "--all", "--status", "complete")

    assert client.calls == [("instances", {"status": ["complete"], "limit": 25})]
    assert result.stdout.splitlines()[0].split()[:3] == ["Workflow", "Instance", "ID"]
    assert result.stdout.splitlines()[1].startswith("orders")


@pytest.mark.parametrize("arguments", [[], ["orders", "--all"]], ids=["neither", "both"])
def test_a_list_is_of_one_workflow_or_of_all(arguments: list[str], orchestrator: Orchestrator) -> None:
    result = orchestrator("instances", "list", *arguments)

    assert result.exit_code == 2
    assert "--all" in result.stderr


@pytest.mark.parametrize(
    "given", [["--limit", "0"], ["--limit", "1001"], ["--cursor", "-1"], ["--date-start", "soon"], ["--status", "done"]]
)
def test_what_can_not_be_asked_is_refused(given: list[str], client: StubClient, orchestrator: Orchestrator) -> None:
    assert orchestrator("instances", "list", "orders", *given).exit_code == 2
    assert client.calls == []


def test_wide_shows_more_and_the_usual_list_fits_a_terminal(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("01234567-89ab-cdef-0123-456789abcdef", status="waiting"))

    usual = orchestrator("instances", "list", "orders").stdout
    wide = orchestrator("instances", "list", "orders", "-o", "wide").stdout

    assert max(map(len, usual.splitlines())) <= 80
    assert {"Run", "Trigger", "Took", "Started", "Ended"} <= set(wide.splitlines()[0].split())
    assert "🌎 API" in wide


def test_name_is_what_the_next_command_takes(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-1"))

    assert orchestrator("instances", "list", "orders", "-o", "name").stdout == "order-1\n"
    assert orchestrator("list", "-o", "name").stdout == "orders\n"
