"""Data goes to stdout in the format asked for, words to stderr, and stored text never commands the terminal."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from orchestrator.cli.wording import printable, relative, took
from tests.cli.conftest import Orchestrator
from tests.cli.stub import T0, StubClient, detail


def test_a_list_comes_as_table_array_lines_or_names(client: StubClient, orchestrator: Orchestrator) -> None:
    client.known.append(replace(client.known[0], name="refunds", instances={}))

    table = orchestrator("list").stdout.splitlines()
    array = json.loads(orchestrator("list", "--json").stdout)
    lines = [json.loads(line) for line in orchestrator("list", "-o", "jsonl").stdout.splitlines()]
    names = orchestrator("list", "-o", "id").stdout.splitlines()

    assert table[0].split()[:3] == ["Name", "Class", "Module"]
    assert "orders   Orders  shop.flows  1,200 complete, 3 errored" in table[1]
    assert array == lines == [view.to_dict() for view in client.known]
    assert names == ["orders", "refunds"]


def test_times_are_relative_for_people_and_milliseconds_for_programs(
    client: StubClient, orchestrator: Orchestrator
) -> None:
    assert json.loads(orchestrator("describe", "orders", "--json").stdout)["created_at"] == T0
    assert " ago (2026-09-2" in orchestrator("describe", "orders").stdout


def test_the_format_can_come_from_the_environment_and_an_option_wins(orchestrator: Orchestrator) -> None:
    environment = {"ORCHESTRATOR_OUTPUT": "id"}

    assert orchestrator("list", env=environment).stdout == "orders\n"
    assert orchestrator("list", "-o", "jsonl", env=environment).stdout.startswith("{")
    assert orchestrator("list", "--json", "-o", "id").stdout.startswith("[")
    assert orchestrator("list", env={"ORCHESTRATOR_OUTPUT": "xml"}).exit_code == 2


def test_an_empty_list_is_empty_on_stdout_and_says_what_to_do_on_stderr(
    client: StubClient, orchestrator: Orchestrator
) -> None:
    client.known.clear()

    assert orchestrator("list").stdout == ""
    assert "orchestrator dev" in orchestrator("list").stderr
    assert json.loads(orchestrator("list", "--json").stdout) == []


def test_a_long_id_is_never_cut_where_nobody_looks_at_a_screen(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("x" * 100))

    assert "x" * 100 in orchestrator("instances", "list", "orders", env={"COLUMNS": "40"}).stdout


def test_stored_text_can_not_command_the_terminal(client: StubClient, orchestrator: Orchestrator) -> None:
    nasty = "\x1b[2J\x9b31m\u202e[bold]:smile:"
    client.has(detail(status="errored", params=nasty, error={"name": "E", "message": nasty}, waiting_for=nasty))

    shown = orchestrator("instances", "describe", "orders").stdout

    assert not {"\x1b", "\x9b", "\u202e"} & set(shown)
    assert "[bold]:smile:" in shown


def test_json_is_exact_whatever_it_holds(client: StubClient, orchestrator: Orchestrator) -> None:
    value = {"text": "é\x1b\x9b 🚀\ud800", "number": 2**64}
    client.has(detail(output=value))

    shown = orchestrator("instances", "describe", "orders", "latest", "--json").stdout

    assert json.loads(shown)["output"] == value


def test_no_color_is_obeyed_even_where_colour_is_forced(orchestrator: Orchestrator) -> None:
    plain = orchestrator("trigger", "nowhere", color=True, env={"NO_COLOR": "1"})
    coloured = orchestrator("trigger", "nowhere", color=True)

    assert "\x1b[" not in plain.stderr
    assert "\x1b[" in coloured.stderr


@pytest.mark.parametrize(
    ("distance_ms", "words"),
    [(0, "just now"), (-999, "just now"), (61_000, "1m 1s ago"), (-7_200_000, "in 2h"), (90_061_000, "1d 1h ago")],
)
def test_a_time_is_told_from_now(distance_ms: int, words: str) -> None:
    assert relative(T0 - distance_ms, T0) == words


def test_what_has_not_begun_has_no_duration_and_what_runs_counts_on() -> None:
    assert took(None, None, T0) == relative(None, T0) == "—"
    assert took(T0, None, T0 + 65_000) == "1m 5s"
    assert took(T0, T0 + 250, T0 + 65_000) == "250ms"


def test_printable_text_stays_json() -> None:
    assert json.loads('"' + printable("a\x1bb\x9bc") + '"') == "a\x1bb\x9bc"
