"""The walk: each bad input, through every way in that it belongs to, is refused alike and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.remote import RemoteClient
from tests.bad_input import actions, lists, many, names, payloads, requests
from tests.bad_input.cases import KINDS, Bad
from tests.bad_input.doors import Refusal, of_cloudflare, of_command, of_python, of_rest
from tests.bad_input.world import World

TABLES = (names, payloads, many, lists, actions, requests)
CASES = [case for table in TABLES for case in table.CASES]


@pytest.fixture
def check(world: World) -> Any:
    """That it is refused as its table says, and that nothing has come of it."""
    before = world.rows()

    def check(case: Bad, refusal: Refusal, code: str, text: Callable[[], str] | None) -> None:
        assert refusal.code == code
        for word in case.words:
            assert word in refusal.text
        if code == case.code and text is not None:
            assert refusal.text == text()
        assert world.rows() == before

    return check


def _of(way: str) -> list[Bad]:
    return [case for case in CASES if getattr(case, way) is not None]


def _words(case: Bad, world: World) -> Callable[[], str] | None:
    """What the client on the database says of it: what everybody is to say."""
    asked = case.python
    return None if asked is None else lambda: of_python(asked, world.client).text


def test_each_case_stands_in_the_table_once() -> None:
    assert sorted({case.what for case in CASES}) == sorted(case.what for case in CASES)
    assert all(case.words for case in CASES)


@pytest.mark.parametrize("case", _of("python"), ids=str)
def test_through_python(world: World, remote: RemoteClient, check: Any, case: Bad) -> None:
    assert case.python is not None
    local = of_python(case.python, world.client)
    check(case, local, case.code, None)
    if case.remote:
        over_http = of_python(case.python, remote)
        check(case, over_http, case.code, lambda: local.text)
        assert over_http.members == local.members


@pytest.mark.parametrize("case", _of("rest"), ids=str)
def test_through_rest(world: World, check: Any, case: Bad) -> None:
    assert case.rest is not None
    refusal = of_rest(case.rest, world.http)
    code = case.http or case.code
    check(case, refusal, code, _words(case, world))
    assert refusal.number == KINDS[code][0]


@pytest.mark.parametrize("case", _of("cloudflare"), ids=str)
def test_through_the_interface_of_cloudflare(world: World, check: Any, case: Bad) -> None:
    assert case.cloudflare is not None
    refusal, number = of_cloudflare(case.cloudflare, world.http)
    code = case.http or case.code
    check(case, refusal, code, _words(case, world))
    assert (refusal.number, number) == (KINDS[code][0], KINDS[code][2])


@pytest.mark.parametrize("world_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("way", ["database", "server"])
@pytest.mark.parametrize("case", _of("cli"), ids=str)
def test_through_the_command_line(world: World, url: str, check: Any, case: Bad, way: str) -> None:
    assert case.cli is not None
    if way == "server" and not case.remote:
        return
    environment = (
        {"ORCHESTRATOR_API_URL": url} if way == "server" else {"DATABASE_URL": world.bench.settings.database_url}
    )
    refusal = of_command(case.cli, environment, None if way == "server" else lambda: world.client)
    code = case.command or case.code
    # What the command line refuses by itself names its own options.
    own = case.command is not None or refusal.text.startswith("Invalid value for ")
    check(case, refusal, code, None if own else _words(case, world))
    assert refusal.number == KINDS[code][1]
