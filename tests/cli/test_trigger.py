"""Starting instances: what is sent, what is said, how it is waited for, and that wrong params are never written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.devfile import write_devfile
from orchestrator.errors import ResultTimeout
from tests.cli.conftest import Orchestrator
from tests.cli.stub import T0, StubClient, detail, step

APPLICATION = """
from pydantic import BaseModel
from orchestrator import WorkflowEntrypoint

class Order(BaseModel):
    items: list[str]

class Orders(WorkflowEntrypoint[Order]):
    name = "orders"
    async def run(self, event, step):
        return None
"""


def test_an_instance_is_created_and_announced(client: StubClient, orchestrator: Orchestrator) -> None:
    result = orchestrator("trigger", "orders", '{"items": []}', "--id", "order-42")

    assert result.exit_code == 0
    assert client.calls == [("create", "orders", {"items": []}, "order-42", "api")]
    assert '🚀 Workflow instance "order-42" has been queued successfully' in result.stderr
    assert "orchestrator instances describe orders order-42" in result.stderr
    assert result.stdout == ""


def test_programs_get_the_new_id(orchestrator: Orchestrator) -> None:
    assert orchestrator("trigger", "orders", "-o", "id").stdout == "order-1\n"
    told = json.loads(orchestrator("trigger", "orders", "--json").stdout)
    assert told == {"id": "order-1", "workflow": "orders", "status": "queued"}


def test_wait_writes_the_output_and_nothing_else_to_stdout(client: StubClient, orchestrator: Orchestrator) -> None:
    result = orchestrator("trigger", "orders", "--wait", "--timeout", "5 minutes")

    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"receipt": 7}
    assert ("result", "order-1", 300.0) in client.calls


@pytest.mark.parametrize("flag", ["--wait", "--watch"])
@pytest.mark.parametrize(("status", "exit_code"), [("complete", 0), ("errored", 10), ("terminated", 11)])
def test_the_exit_code_tells_how_it_ended(
    flag: str, status: str, exit_code: int, client: StubClient, orchestrator: Orchestrator
) -> None:
    error = {"name": "CardError", "message": "declined"} if status == "errored" else None
    client.made = [detail(status=status, error=error, output=None)]

    told = orchestrator("trigger", "orders", flag, "--json")
    shown = orchestrator("trigger", "orders", flag)

    assert told.exit_code == shown.exit_code == exit_code
    assert json.loads(told.stdout)["status"] == status
    if status == "errored":
        assert 'Instance "order-1" from orders errored: CardError: declined' in shown.stderr
        assert "orchestrator instances describe orders order-1" in shown.stderr


@pytest.mark.parametrize("flag", ["--wait", "--watch"])
def test_not_in_time_is_7_and_says_that_the_instance_goes_on(
    flag: str, client: StubClient, orchestrator: Orchestrator
) -> None:
    client.made = [detail(status="running", ended_at=None)]

    result = orchestrator("trigger", "orders", flag, "--timeout", "1s")

    assert result.exit_code == 7
    assert "it goes on by itself" in result.stderr


@pytest.mark.parametrize("flag", ["--wait", "--watch"])
def test_ctrl_c_ends_the_waiting_and_not_the_instance(
    flag: str, client: StubClient, orchestrator: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Any, *given: Any, **named: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("tests.cli.stub.StubInstance._do", interrupted)

    result = orchestrator("trigger", "orders", flag)

    assert result.exit_code == 130
    assert "the instance goes on" in result.stderr
    assert "Aborted" not in result.stderr


def test_a_timeout_without_waiting_is_a_mistake(client: StubClient, orchestrator: Orchestrator) -> None:
    assert orchestrator("trigger", "orders", "--timeout", "5s").exit_code == 2
    assert orchestrator("trigger", "orders", "--wait", "--timeout", "5 parsecs").exit_code == 2
    assert client.calls == []


def test_watching_without_a_terminal_writes_a_line_for_each_change(
    client: StubClient, orchestrator: Orchestrator
) -> None:
    running = step(status="running", ended_at=None)
    again = step(status="retrying", attempts=2, due_at=T0, error={"name": "CardError", "message": "declined"})
    client.made = [
        detail(status="queued", steps=[]),
        detail(status="running", steps=[running]),
        detail(status="running", steps=[running], modified_at=T0 + 5),
        detail(status="waiting", steps=[again], waiting_for="the next attempt"),
        detail(steps=[step(attempts=3)]),
    ]

    lines = orchestrator("trigger", "orders", "--watch").stdout.splitlines()

    told = [line.strip().split("  ", 1)[-1].strip() for line in lines]  # without the time, as wide as it may be
    assert told[0] == "⌛ Queued"
    assert told[1:3] == ["▶ charge-1 running", "▶ Running"]
    assert told[3] == "🔁 charge-1 retrying attempt 2 due in 0ms CardError: declined"
    assert told[4] == "⏰ Waiting, waiting for the next attempt"
    assert told[5:7] == ["✅ charge-1 complete attempt 3 500ms", "✅ Completed"]
    assert json.loads("\n".join(lines[7:])) == {"receipt": 7}


def test_watching_as_jsonl_writes_every_state_and_as_json_the_last(
    client: StubClient, orchestrator: Orchestrator
) -> None:
    client.made = [detail(status="running"), detail()]

    lines = orchestrator("trigger", "orders", "--watch", "-o", "jsonl").stdout.splitlines()
    last = orchestrator("trigger", "orders", "--watch", "--json")

    assert [json.loads(line)["status"] for line in lines] == ["running", "complete"]
    assert json.loads(last.stdout)["status"] == "complete"
    assert "✅ Completed" in last.stderr


def test_with_the_application_known_the_client_gets_its_class_and_can_check_the_params(
    client: StubClient, orchestrator: Orchestrator, tmp_path: Path
) -> None:
    (tmp_path / "shop_a.py").write_text(APPLICATION)
    orchestrator("trigger", "orders", "--app", "shop_a.py")
    orchestrator("trigger", "orders", env={"ORCHESTRATOR_APP": "shop_a.py"})
    write_devfile(app="shop_a.py", url="http://127.0.0.1:1", database="sqlite://")
    orchestrator("trigger", "orders")

    assert [getattr(workflow, "__name__", workflow) for workflow in client.asked_for] == ["Orders"] * 3


def test_an_application_that_was_named_must_import(
    client: StubClient, orchestrator: Orchestrator, tmp_path: Path
) -> None:
    (tmp_path / "broken_a.py").write_text("import nowhere_to_be_found\n")

    result = orchestrator("trigger", "orders", "--app", "broken_a.py")

    assert result.exit_code == 1
    assert "nowhere_to_be_found" in result.stderr
    assert "orchestrator/cli" not in result.stderr
    assert client.calls == []


def test_an_application_that_dev_left_behind_need_not(
    client: StubClient, orchestrator: Orchestrator, tmp_path: Path
) -> None:
    (tmp_path / "broken_b.py").write_text("1 / 0\n")
    write_devfile(app="broken_b.py", url="http://127.0.0.1:1", database="sqlite://")

    result = orchestrator("trigger", "orders")

    assert result.exit_code == 0
    assert "the params are not checked here" in result.stderr
    assert client.calls[0][0] == "create"


def test_a_refused_creation_is_an_error_of_its_own(client: StubClient, orchestrator: Orchestrator) -> None:
    client.failure = ResultTimeout("late")

    assert orchestrator("trigger", "orders").exit_code == 7
