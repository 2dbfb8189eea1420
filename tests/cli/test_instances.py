"""Looking at instances and acting on them: what is asked of the client, what is said, and what is asked of people."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from orchestrator.errors import ActionNotAllowed
from tests.cli.conftest import Orchestrator
from tests.cli.stub import T0, StubClient, detail, failed_attempt, step


def test_a_list_asks_for_what_was_asked(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-1", status="errored"))

    result = orchestrator(
        "instances", "list", "orders", "--status", "errored", "--status", "paused", "--limit", "5", "--reverse"
    )

    assert client.calls == [("list", "orders", {"status": ["errored", "paused"], "limit": 5, "oldest_first": True})]
    assert result.stdout.splitlines()[1].startswith("order-1      ❌ Errored")


def test_an_unknown_status_is_refused_with_the_known_ones(orchestrator: Orchestrator) -> None:
    result = orchestrator("instances", "list", "orders", "--status", "done")

    assert result.exit_code == 2
    assert "'complete'" in result.stderr


def test_a_full_page_says_how_to_see_more(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-1"))

    full = orchestrator("instances", "list", "orders", "--limit", "1").stderr
    assert "--limit 4" in full
    assert "--cursor 1" in full
    assert "--limit" not in orchestrator("instances", "list", "orders", "--limit", "2").stderr


def test_describe_shows_state_reason_steps_and_attempts(client: StubClient, orchestrator: Orchestrator) -> None:
    charge = step(attempts=2, attempt_log=[failed_attempt(1)])
    wait = step("approval", kind="waitForEvent", status="waiting", ended_at=None, due_at=T0, attempts=0, output=None)
    client.has(
        detail(
            status="waiting",
            run=2,
            ended_at=None,
            output=None,
            steps=[charge, wait],
            step_count=2,
            waiting_for="event approval",
            allowed_actions=["pause", "terminate"],
        )
    )

    shown = orchestrator("instances", "describe", "orders").stdout

    assert "⏰ Waiting" in shown
    assert "waiting for event approval" in shown
    assert "Last successful step  charge-1" in shown
    assert "✅ charge-1  🎯 step  complete  500ms" in shown
    assert "CardError: declined" in shown
    assert '"paid": true' in shown
    assert "⏰ approval-1  👀 wait for event  waiting" in shown
    assert "pause, terminate" in shown


def test_outputs_can_be_cut_or_left_out(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail(steps=[step(output="y" * 9_000)], output=None, params=None))

    default = orchestrator("instances", "describe", "orders").stdout
    short = orchestrator("instances", "describe", "orders", "--truncate-output-limit", "10").stdout
    whole = orchestrator("instances", "describe", "orders", "--truncate-output-limit", "0").stdout
    none = orchestrator("instances", "describe", "orders", "--no-step-output").stdout

    assert default.count("y") > 4_900
    assert "… 4,002 of 9,002 characters more: use -o json" in default
    assert short.count("y") < 100
    assert whole.count("y") == 9_000
    assert "yyy" not in none


def test_describe_can_stay_and_watch(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail(status="running"), detail(status="errored", error={"name": "E", "message": "bad"}))

    result = orchestrator("instances", "describe", "orders", "latest", "--watch")

    assert result.exit_code == 10
    assert "▶ Running" in result.stdout
    assert "❌ Errored" in result.stdout


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        ("pause", '⏸️  The instance "order-9" from orders was paused successfully'),
        ("resume", '🔄 The instance "order-9" from orders was resumed successfully'),
        ("terminate", '🥷 The instance "order-9" from orders was terminated successfully'),
        ("restart", '🥷 The instance "order-9" from orders was restarted successfully'),
        ("delete", '🗑️  Deleted workflow instances from "orders": "order-9"'),
    ],
)
def test_an_action_is_done_to_the_instance_and_told(
    action: str, sentence: str, client: StubClient, orchestrator: Orchestrator
) -> None:
    client.has(detail("order-8"))
    client.has(detail("order-9"))
    sure = [] if action in ("pause", "resume") else ["--yes"]

    told = orchestrator("instances", action, "orders", "latest", *sure)
    data = orchestrator("instances", action, "orders", "order-8", "--json", *sure)

    assert client.calls == [(action, "order-9"), (action, "order-8")]
    assert (told.exit_code, told.stdout, told.stderr.strip()) == (0, "", sentence)
    assert json.loads(data.stdout)["id"] == "order-8"


@pytest.mark.parametrize("action", ["terminate", "restart", "delete"])
def test_without_a_terminal_nothing_is_destroyed_unless_yes_was_said(
    action: str, client: StubClient, orchestrator: Orchestrator
) -> None:
    client.has(detail("order-9"))

    result = orchestrator("instances", action, "orders", "latest", input="y\n")

    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert 'instance "order-9" from orders' in result.stderr
    assert client.calls == []


@pytest.mark.parametrize(("answer", "exit_code", "calls"), [("y\n", 0, 1), ("n\n", 1, 0), ("", 130, 0)])
def test_on_a_terminal_the_person_decides(
    answer: str,
    exit_code: int,
    calls: int,
    client: StubClient,
    orchestrator: Orchestrator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client.has(detail("order-9"))
    monkeypatch.setattr("orchestrator.cli.several._somebody_is_there", lambda: True)

    result = orchestrator("instances", "delete", "orders", "latest", input=answer)

    assert result.exit_code == exit_code
    assert 'Delete the instance "order-9" from orders and its history?' in result.stderr
    assert len(client.calls) == calls


def test_an_event_is_sent_with_its_payload(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-9"))

    result = orchestrator(
        "instances", "send-event", "orders", "order-9", "--type", "approval", "--payload", '{"by": "ann"}'
    )

    assert client.calls == [("send_event", "order-9", "approval", {"by": "ann"})]
    assert result.stderr.strip() == (
        '📤 The event with type "approval" and payload "{"by": "ann"}" was sent to the instance "order-9" from orders'
    )


def test_an_action_that_is_not_allowed_now_is_4(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-9")).refusal = ActionNotAllowed("terminate", "complete", ["restart", "delete"])

    result = orchestrator("instances", "terminate", "orders", "order-9", "--yes")

    assert result.exit_code == 4
    assert "restart, delete" in result.stderr


def test_an_unknown_instance_is_3_and_says_where_to_look(orchestrator: Orchestrator) -> None:
    for instance in ("nope", "latest"):
        result = orchestrator("instances", "describe", "orders", instance)

        assert result.exit_code == 3
        assert "orchestrator instances list orders" in result.stderr


def test_ids_alone_can_be_handed_to_the_next_command(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-1"))
    client.has(replace(detail("order-2"), status="paused"))

    assert orchestrator("instances", "list", "orders", "-o", "id").stdout == "order-1\norder-2\n"
