"""The shells ask us what to offer: commands without loading them, workflows and ids from the database, never an error."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from click.shell_completion import ShellComplete

from orchestrator.cli import root
from orchestrator.errors import DatabaseUnavailable
from tests.cli.conftest import Orchestrator
from tests.cli.processes import ORCHESTRATOR, environment
from tests.cli.stub import StubClient, detail


def _offered(client: StubClient, *words: str, typed: str = "") -> list[str]:
    complete = ShellComplete(root, {"obj": lambda: client}, "orchestrator", "_ORCHESTRATOR_COMPLETE")
    return [item.value for item in complete.get_completions(list(words), typed)]


def test_commands_and_options_are_offered(client: StubClient) -> None:
    assert _offered(client, typed="tri") == ["trigger"]
    assert {"list", "describe", "delete"} <= set(_offered(client, "instances"))
    assert "--status" in _offered(client, "instances", "list", "orders", typed="--st")
    assert "errored" in _offered(client, "instances", "list", "orders", "--status", typed="e")


def test_names_of_workflows_are_offered(client: StubClient) -> None:
    for words in (["trigger"], ["describe"], ["instances", "list"], ["instances", "pause"]):
        assert _offered(client, *words, typed="or") == ["orders"]


def test_ids_of_instances_are_offered_that_were_not_given_yet(client: StubClient) -> None:
    for id in ("order-1", "order-2"):
        client.has(detail(id))

    assert set(_offered(client, "instances", "describe", "orders")) == {"latest", "order-1", "order-2"}
    assert _offered(client, "instances", "pause", "orders", "order-1", typed="ord") == ["order-2"]


@pytest.mark.parametrize("words", [["trigger"], ["instances", "pause", "orders"], ["instances", "pause", "nope"]])
def test_where_nothing_can_be_looked_up_nothing_is_offered(words: list[str], client: StubClient) -> None:
    client.failure = DatabaseUnavailable()

    assert [name for name in _offered(client, *words, typed="o") if name != "orders"] == []


@pytest.mark.parametrize(("shell", "mark"), [("bash", "complete -o"), ("zsh", "#compdef"), ("fish", "complete ")])
def test_each_shell_gets_its_script(shell: str, mark: str, orchestrator: Orchestrator) -> None:
    result = orchestrator("completion", shell)

    assert result.exit_code == 0
    assert mark in result.stdout
    assert "_ORCHESTRATOR_COMPLETE" in result.stdout
    assert result.stderr == ""


def test_another_shell_is_refused_with_those_there_are(orchestrator: Orchestrator) -> None:
    result = orchestrator("completion", "tcsh")

    assert result.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in result.stderr


@pytest.mark.process
def test_a_real_bash_loads_the_script_and_gets_an_answer(tmp_path: Any) -> None:
    bin = tmp_path / "bin"
    bin.mkdir()
    program = bin / "orchestrator"
    program.write_text(f'#!/bin/sh\nexec {" ".join(ORCHESTRATOR)} "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(orchestrator completion bash)"; COMP_WORDS=(orchestrator inst); COMP_CWORD=1; '
        '_orchestrator_completion orchestrator inst orchestrator; echo "${COMPREPLY[@]}"'
    )
    path = f"{bin}:{environment()['PATH']}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment(PATH=path))

    assert done.stdout.strip() == "instances", done.stderr
