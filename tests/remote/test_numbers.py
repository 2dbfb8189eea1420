"""Numbers that are none are refused by both clients in the same words, wherever a number is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.errors import UsageError
from tests.remote.conftest import Both

WHOLE: dict[str, Callable[[Any, Any], Any]] = {
    "a run": lambda client, number: _echo(client).describe(number),
    "an attempt": lambda client, number: _echo(client).step("breathe", type="sleep", attempt=number),
    "which step of a name": lambda client, number: _echo(client).step("breathe", count=number),
    "a limit": lambda client, number: client.workflow("echo").list(limit=number),
    "a limit of all": lambda client, number: client.instances(limit=number),
    "a limit of what is found": lambda client, number: client.workflow("echo").find("abcd", limit=number),
    "a page": lambda client, number: client.workflow("echo").list(before=number),
    "a page of all": lambda client, number: client.instances(before=number),
    "a beginning": lambda client, number: client.instances(since=number),
    "an end": lambda client, number: client.workflow("echo").list(until=number),
    "a beginning of numbers": lambda client, number: client.aggregates(since=number),
    "an end of numbers": lambda client, number: client.workflow("echo").aggregates(until=number),
    "a number of instances": lambda client, number: client.workflow("echo").create_batch(count=number),
    "a cursor": lambda client, number: _echo(client).subscribe(cursor=number),
    "a step to restart from": lambda client, number: _echo(client).restart(from_={"name": "x", "count": number}),
}
SECONDS: dict[str, Callable[[Any, Any], Any]] = {
    "a result": lambda client, number: _echo(client).result(timeout=number),
    "a look": lambda client, number: list(_echo(client).watch(timeout=number)),
    "events": lambda client, number: _echo(client).subscribe(timeout=number),
}


def _echo(client: Any) -> Any:
    return client.workflow("echo").get("e-1")


@pytest.fixture
def running(both: Both) -> Both:
    both.local.workflow("echo").create(id="e-1")
    both.bench.work()
    return both


@pytest.mark.parametrize("number", [True, "1", 1.0], ids=repr)
def test_what_is_no_whole_number_is_refused(running: Both, number: Any) -> None:
    for ask in WHOLE.values():
        refused = running.refuse(lambda client, ask=ask: ask(client, number), UsageError)
        assert repr(number) in refused.message


def test_a_number_that_no_database_holds_is_refused(running: Both) -> None:
    for number in (-1, 2**63, 2**80):
        for case in ("a page", "a page of all", "a beginning", "an end", "a beginning of numbers"):
            running.refuse(lambda client, case=case, number=number: WHOLE[case](client, number), UsageError)


def test_what_is_no_time_to_wait_is_refused(running: Both) -> None:
    for number in (True, "1", float("nan"), [1]):
        for ask in SECONDS.values():
            refused = running.refuse(lambda client, ask=ask, number=number: ask(client, number), UsageError)
            assert repr(number) in refused.message
