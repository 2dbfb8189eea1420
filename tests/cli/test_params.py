"""JSON from a shell: read strictly from every source, and a mistake is shown where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.params import parse_json
from orchestrator.errors import InvalidParams
from tests.cli.conftest import Orchestrator
from tests.cli.stub import StubClient, detail


def _created(client: StubClient) -> list[Any]:
    return [call[2] for call in client.calls if call[0] == "create"]


def test_params_come_from_the_argument_a_file_or_stdin(
    client: StubClient, orchestrator: Orchestrator, tmp_path: Path
) -> None:
    (tmp_path / "params.json").write_text('\ufeff{"from": "file"}', encoding="utf-8")

    orchestrator("trigger", "orders", '{"from": "argument"}')
    orchestrator("trigger", "orders", "@params.json")
    orchestrator("trigger", "orders", "-", input='{"from": "stdin"}\n')
    orchestrator("trigger", "orders")

    assert _created(client) == [{"from": "argument"}, {"from": "file"}, {"from": "stdin"}, None]


def test_bad_json_is_shown_with_a_finger_on_the_mistake(client: StubClient, orchestrator: Orchestrator) -> None:
    result = orchestrator("trigger", "orders", '{"items":\n  ["a" "b"]}')

    assert result.exit_code == 2
    assert "line 2, column 8" in result.stderr
    shown, finger = result.stderr.splitlines()[1:3]
    assert shown[finger.index("^") :] == '"b"]}'
    assert _created(client) == []


def test_a_mistake_in_a_huge_line_shows_its_surroundings_only() -> None:
    with pytest.raises(InvalidParams) as caught:
        parse_json("[" + "1," * 50_000 + "oops," + "1," * 50_000 + "1]", what="params")

    assert len(caught.value.message) < 300
    shown, finger = caught.value.message.splitlines()[1:]
    assert shown[finger.index("^") :].startswith("oops")


@pytest.mark.parametrize("text", ["NaN", '{"a": Infinity}', "[-Infinity]", "", "  ", "[" * 200_000])
def test_what_other_readers_would_refuse_is_refused_here(text: str) -> None:
    with pytest.raises(InvalidParams):
        parse_json(text, what="params")


def test_shell_quoting_is_suggested_where_it_is_the_likely_cause(orchestrator: Orchestrator) -> None:
    assert "double quotes" in orchestrator("trigger", "orders", "{'a': 1}").stderr
    assert "double quotes" in orchestrator("trigger", "orders", "{a: b}").stderr
    assert "double quotes" not in orchestrator("trigger", "orders", '{"a": 1').stderr


def test_a_file_that_can_not_be_read_is_named(orchestrator: Orchestrator, tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes(b'"caf\xe9"')

    missing = orchestrator("trigger", "orders", "@nowhere.json")
    latin = orchestrator("trigger", "orders", "@latin.json")

    assert missing.exit_code == latin.exit_code == 2
    assert "'nowhere.json': No such file or directory" in missing.stderr
    assert "'latin.json': the file is not UTF-8" in latin.stderr


def test_a_payload_is_read_like_params(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-1"))

    result = orchestrator("instances", "send-event", "orders", "latest", "--type", "approval", "--payload", "{oops")

    assert result.exit_code == 2
    assert "payload" in result.stderr
    assert client.calls == []
