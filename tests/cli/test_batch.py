"""Starting many: from a number or a file, in parts, and what is said of those that could not be started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import PayloadTooLarge
from tests.cli.conftest import Orchestrator
from tests.cli.stub import StubClient, StubWorkflow

APPLICATION = """
from pydantic import BaseModel
from orchestrator import WorkflowEntrypoint

class Order(BaseModel):
    n: int

class Orders(WorkflowEntrypoint[Order]):
    name = "orders"
    async def run(self, event, step):
        return None
"""


def test_a_number_of_instances_is_started_in_parts(client: StubClient, orchestrator: Orchestrator) -> None:
    result = orchestrator("trigger", "orders", '{"n": 1}', "--count", "250")

    assert [call[3] for call in client.calls] == [100, 100, 50]
    assert {str(call[4]) for call in client.calls} == {"{'n': 1}"}
    assert result.stderr.strip() == "🚀 250 workflow instances have been queued successfully"


@pytest.mark.parametrize(
    "content", ['{"id": "a"}\n\n{"params": {"n": 1}}\n', '[{"id": "a"}, {"params": {"n": 1}}]'], ids=["lines", "array"]
)
def test_a_file_says_what_each_is_started_with(content: str, client: StubClient, orchestrator: Orchestrator) -> None:
    Path("many").write_text(content)

    from_file = orchestrator("trigger", "orders", "--batch", "many", "-o", "id")
    from_stdin = orchestrator("trigger", "orders", "--batch", "-", input=content)

    assert from_file.exit_code == from_stdin.exit_code == 0, from_stdin.stderr
    assert [call[2] for call in client.calls] == [[{"id": "a"}, {"params": {"n": 1}}]] * 2
    assert len(from_file.stdout.splitlines()) == 2


def test_those_that_are_taken_are_said_and_the_others_started(client: StubClient, orchestrator: Orchestrator) -> None:
    Path("many").write_text('{"id": "a"}\n{"id": "taken"}')

    result = orchestrator("trigger", "orders", "--batch", "many", "--json")

    assert result.exit_code == 4
    assert [row["id"] for row in json.loads(result.stdout)] == ["a"]
    assert json.loads(result.stderr)["error"]["notes"] == ["taken is taken."]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "There are no instances in many"),
        ("[]", "There are no instances in many"),
        ('{"id": "a"}\n{"id": ', "line 2, are not valid JSON"),
        ("[1]", "Instance 1 of many"),
        ('{"name": "a"}', "Instance 1 of many"),
    ],
)
def test_a_file_that_says_nothing_is_refused_and_nothing_is_started(
    content: str, words: str, client: StubClient, orchestrator: Orchestrator
) -> None:
    Path("many").write_text(content)

    result = orchestrator("trigger", "orders", "--batch", "many")

    assert result.exit_code == 2
    assert words in result.stderr
    assert client.calls == []


@pytest.mark.parametrize(
    "given",
    [
        ["--count", "2", "--id", "a"],
        ["--count", "2", "--wait"],
        ["--batch", "many", "--watch"],
        ["--batch", "many", "--count", "1"],
        ["--count", "0"],
        ["--batch", "not-there"],
    ],
    ids=" ".join,
)
def test_what_does_not_go_together_is_refused(given: list[str], client: StubClient, orchestrator: Orchestrator) -> None:
    assert orchestrator("trigger", "orders", *given).exit_code == 2
    assert client.calls == []


@pytest.mark.parametrize(
    ("bad", "words"),
    [({"id": "a b"}, "a b"), ({"retention": {"success_retention": "soon"}}, "soon"), ({"params": {"n": "x"}}, "n")],
    ids=["id", "retention", "params"],
)
def test_what_is_wrong_with_a_late_one_is_said_before_the_first_is_started(
    bad: dict[str, object], words: str, client: StubClient, orchestrator: Orchestrator
) -> None:
    Path("shop_batch.py").write_text(APPLICATION)
    Path("many").write_text("\n".join(json.dumps(one) for one in [{"params": {"n": 1}}] * 150 + [bad]))

    result = orchestrator("trigger", "orders", "--batch", "many", "--app", "shop_batch.py", "--json")

    assert result.exit_code == 2
    assert client.calls == []
    error = json.loads(result.stderr)["error"]
    assert words in error["message"]
    assert error["notes"] == ["It is instance 151 of 151; none was started."]


def test_what_was_started_before_a_part_was_refused_is_told(
    client: StubClient, orchestrator: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = StubWorkflow.create_batch

    def refuse_the_second(self: StubWorkflow, instances: Any = None, **more: Any) -> Any:
        if client.calls:
            raise PayloadTooLarge("The batch is too large.")
        return real(self, instances, **more)

    monkeypatch.setattr(StubWorkflow, "create_batch", refuse_the_second)
    Path("many").write_text("\n".join(json.dumps({"id": f"o-{n}"}) for n in range(150)))

    result = orchestrator("trigger", "orders", "--batch", "many", "--json")

    assert result.exit_code == 2
    assert [row["id"] for row in json.loads(result.stdout)] == [f"o-{n}" for n in range(100)]
    assert json.loads(result.stderr)["error"]["notes"] == ["The first 100 were gone through before; 100 are started."]
