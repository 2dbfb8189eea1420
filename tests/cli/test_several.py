"""Actions on several instances, ids that are cut short, and what stays when some of it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.errors import ActionNotAllowed
from tests.cli.conftest import Orchestrator
from tests.cli.stub import StubClient, detail


def _asked(client: StubClient, action: str) -> list[str]:
    return [call[1] for call in client.calls if call[0] == action]


def test_several_are_acted_on_in_their_order_each_with_a_sentence(
    client: StubClient, orchestrator: Orchestrator
) -> None:
    for id in ("order-1", "order-2", "order-3"):
        client.has(detail(id))

    result = orchestrator("instances", "pause", "orders", "order-2", "latest", "order-2")

    assert result.exit_code == 0
    assert _asked(client, "pause") == ["order-2", "order-3"]
    assert result.stderr.count("was paused successfully") == 2
    rows = json.loads(orchestrator("instances", "resume", "orders", "order-1", "order-2", "--json").stdout)
    assert [row["id"] for row in rows] == ["order-1", "order-2"]


def test_nothing_is_done_to_any_unless_all_are_there(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-1"))

    result = orchestrator("instances", "terminate", "orders", "order-1", "nope", "--yes")

    assert result.exit_code == 3
    assert client.calls == []


def test_what_fails_is_said_and_the_rest_is_done(client: StubClient, orchestrator: Orchestrator) -> None:
    for id in ("order-1", "order-2", "order-3"):
        client.has(detail(id))
    client.stored["order-2"].refusal = ActionNotAllowed("pause", "complete", ["restart"])

    result = orchestrator("instances", "pause", "orders", "order-1", "order-2", "order-3", "-o", "name")

    assert result.exit_code == 4
    assert result.stdout == "order-1\norder-3\n"
    assert 'This is said of "order-2"; 1 of 3 failed' in result.stderr


def test_one_question_is_asked_for_all(client: StubClient, orchestrator: Orchestrator) -> None:
    for id in ("order-1", "order-2"):
        client.has(detail(id))

    result = orchestrator("instances", "terminate", "orders", "order-1", "order-2")

    assert result.exit_code == 2
    assert 'Terminate the 2 instances "order-1", "order-2" from orders?' in result.stderr
    assert client.calls == []


@pytest.mark.parametrize("action", ["pause", "resume", "terminate", "restart"])
@pytest.mark.cloudflare(79)
def test_no_id_at_all_is_a_usage_error(action: str, orchestrator: Orchestrator) -> None:
    result = orchestrator("instances", action, "orders")

    assert result.exit_code == 2
    assert "ID" in result.stderr


# --- the beginning of an id -------------------------------------------------------------------------------------------


def test_the_beginning_of_an_id_will_do_if_no_other_begins_so(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("7f3a-long-id"))
    client.has(detail("7f3b-long-id"))

    assert json.loads(orchestrator("instances", "pause", "orders", "7f3a", "--json").stdout)["id"] == "7f3a-long-id"
    assert json.loads(orchestrator("instances", "describe", "orders", "7f3b-", "--json").stdout)["id"] == "7f3b-long-id"


def test_a_beginning_of_several_ids_is_refused_with_them(client: StubClient, orchestrator: Orchestrator) -> None:
    for number in range(12):
        client.has(detail(f"order-{number}"))

    result = orchestrator("instances", "terminate", "orders", "order", "--yes")

    assert result.exit_code == 2
    assert "'order' is the beginning of more than one instance id of orders" in result.stderr
    assert "order-11  complete" in result.stderr
    assert "…" in result.stderr
    assert client.calls == []


def test_a_beginning_that_is_too_short_is_not_looked_for(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-1"))

    assert orchestrator("instances", "pause", "orders", "ord").exit_code == 3
    assert orchestrator("instances", "pause", "orders", "orde").exit_code == 0


def test_the_whole_id_wins_over_longer_ones(client: StubClient, orchestrator: Orchestrator) -> None:
    for id in ("order-1", "order-11"):
        client.has(detail(id))

    assert json.loads(orchestrator("instances", "pause", "orders", "order-1", "--json").stdout)["id"] == "order-1"


# --- restart from a step ----------------------------------------------------------------------------------------------


def test_a_restart_can_begin_at_a_step(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-1"))

    whole = orchestrator(
        "instances", "restart", "orders", "latest", "--yes",
        "--from-step-name", "charge {x}", "--from-step-count", "2", "--from-step-type", "sleep",
    )  # fmt: skip
    named = orchestrator("instances", "restart", "orders", "latest", "--from-step-name", "charge {x}")

    assert whole.exit_code == 0, whole.stderr
    assert client.calls == [("restart", "order-1", {"name": "charge {x}", "count": 2, "type": "sleep"})]
    assert "From step 'charge {x}' on every step runs again." in named.stderr


@pytest.mark.parametrize("given", [["--from-step-count", "2"], ["--from-step-type", "do"]])
@pytest.mark.cloudflare(79)
def test_which_step_of_a_name_needs_the_name(given: list[str], client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-1"))

    result = orchestrator("instances", "restart", "orders", "latest", "--yes", *given)

    assert result.exit_code == 2
    assert "--from-step-name" in result.stderr
    assert client.calls == []


@pytest.mark.parametrize(
    "given", [["--from-step-count", "0"], ["--from-step-count", "x"], ["--from-step-type", "step"]]
)
@pytest.mark.cloudflare(79)
def test_a_step_that_can_not_be_is_refused(given: list[str], orchestrator: Orchestrator) -> None:
    assert orchestrator("instances", "restart", "orders", "x", "--from-step-name", "a", *given).exit_code == 2


# --- delete -----------------------------------------------------------------------------------------------------------


def test_ids_to_delete_come_from_the_command_line_and_a_file(client: StubClient, orchestrator: Orchestrator) -> None:
    for id in ("order-1", "order-2"):
        client.has(detail(id))
    Path("ids.json").write_text('["order-2", "order-1"]')

    result = orchestrator("instances", "delete", "orders", "order-1", "--filename", "ids.json", "--yes")

    assert result.exit_code == 0, result.stderr
    assert client.calls == [("delete_batch", "order-1", "order-2")]
    assert result.stderr.strip() == '🗑️  Deleted workflow instances from "orders": "order-1", "order-2"'


def test_what_could_not_be_deleted_is_said_after_what_was(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-1"))

    result = orchestrator("instances", "delete", "orders", "order-1", "nope", "--yes")

    assert result.exit_code == 3
    first, second, *_ = result.stderr.splitlines()
    assert first == '🗑️  Deleted workflow instances from "orders": "order-1"'
    assert second == 'Error: Could not delete from "orders": "nope"'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"a": 1}', "must hold a JSON array of ids"),
        ("[1]", "must hold a JSON array of ids"),
        ("[", "not valid JSON"),
        ("", "not valid JSON"),
        ("[]", "No instance is given"),
        (None, "No such file"),
    ],
)
@pytest.mark.cloudflare(79)
def test_a_file_that_holds_no_ids_is_refused(content: str | None, words: str, orchestrator: Orchestrator) -> None:
    if content is not None:
        Path("ids.json").write_text(content)

    result = orchestrator("instances", "delete", "orders", "--filename", "ids.json", "--yes")

    assert result.exit_code == 2
    assert words in result.stderr


def test_nothing_to_delete_is_said(orchestrator: Orchestrator) -> None:
    result = orchestrator("instances", "delete", "orders", "--yes")

    assert result.exit_code == 2
    assert "--filename" in result.stderr


# --- watching ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [["resume"], ["restart", "--yes"], ["send-event", "--type", "x"]])
def test_an_action_can_be_watched_to_its_end(action: list[str], client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-1", status="running"), detail("order-1", status="complete"))
    name, *options = action

    result = orchestrator("instances", name, "orders", "order-1", "--watch", *options)

    assert result.exit_code == 0, result.stderr
    assert "✅ Completed" in result.stdout
    assert '"receipt": 7' in result.stdout


def test_only_one_can_be_watched(client: StubClient, orchestrator: Orchestrator) -> None:
    assert orchestrator("instances", "resume", "orders", "a", "b", "--watch").exit_code == 2
