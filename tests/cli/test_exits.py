"""Every error has an exit code and a next command, and every end of the program is a clean one."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from orchestrator import errors
from orchestrator.cli.exits import REMEDIES, remedy_for
from tests.cli.conftest import Orchestrator
from tests.cli.processes import PYTHON, environment
from tests.cli.stub import StubClient, detail


def _kinds(kind: type[errors.OrchestratorError]) -> list[type[errors.OrchestratorError]]:
    below = [found for child in kind.__subclasses__() if child.__module__ == errors.__name__ for found in _kinds(child)]
    return [kind, *below]


@pytest.mark.parametrize("kind", _kinds(errors.OrchestratorError), ids=lambda kind: kind.__name__)
def test_every_error_has_an_exit_code_and_a_next_step_of_its_own(kind: type[errors.OrchestratorError]) -> None:
    assert kind.code in REMEDIES
    assert REMEDIES[kind.code].exit_code != 0
    assert REMEDIES[kind.code].next.format(workflow="w", instance="i", command="c")


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (errors.UsageError(), 2),
        (errors.InvalidParams(), 2),
        (errors.SettingsError(), 2),
        (errors.WorkflowNotFound(), 3),
        (errors.InstanceNotFound(), 3),
        (errors.InstanceAlreadyExists(), 4),
        (errors.ActionNotAllowed("pause", "complete", ["restart"]), 4),
        (errors.DatabaseUnavailable(), 6),
        (errors.BrokerUnavailable(), 6),
        (errors.ResultTimeout(), 7),
        (errors.InstanceErrored(), 10),
        (errors.InstanceTerminated(), 11),
        (errors.ApplicationImportError(), 1),
        (errors.SchemaBehind(), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_the_exit_code_tells_what_kind_of_thing_went_wrong(
    error: errors.OrchestratorError, exit_code: int, client: StubClient, orchestrator: Orchestrator
) -> None:
    client.failure = error

    result = orchestrator("describe", "orders")

    assert result.exit_code == exit_code
    assert result.stdout == ""
    assert f"Error: {error.message}" in result.stderr
    assert "Next:  " in result.stderr


def test_an_error_of_another_room_takes_the_code_of_its_nearest_ancestor() -> None:
    class Unheard(errors.WorkflowNotFound):
        code = "somewhere.else"

    assert remedy_for(Unheard()) == REMEDIES["workflow.not_found"]


def test_the_next_step_names_what_the_command_was_given(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-7")).refusal = errors.ActionNotAllowed("resume", "complete", ["restart"])

    result = orchestrator("instances", "resume", "orders", "latest")

    assert "Cannot resume an instance that is complete; actions allowed now: restart." in result.stderr
    assert "orchestrator instances describe orders order-7" in result.stderr


def test_a_mistyped_workflow_gets_the_one_that_was_meant(orchestrator: Orchestrator) -> None:
    result = orchestrator("trigger", "order")

    assert result.exit_code == 3
    assert "Did you mean orders?" in result.stderr
    assert "orchestrator list" in result.stderr


def test_programs_get_errors_as_json_on_stderr(orchestrator: Orchestrator) -> None:
    result = orchestrator("describe", "nothing-like-it", "--json")

    told = json.loads(result.stderr)
    assert told["exit_code"] == result.exit_code == 3
    assert told["error"]["code"] == "workflow.not_found"
    assert told["error"]["next"].endswith("orchestrator list")
    assert result.stdout == ""


def test_an_error_can_not_reach_the_terminal_as_commands_to_it(client: StubClient, orchestrator: Orchestrator) -> None:
    client.failure = errors.InstanceErrored("bad \x1b]0;owned\x07 \u202eevil")

    shown = orchestrator("describe", "orders").stderr

    assert "\\u001b]0;owned\\u0007" in shown
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)


_ENDLESS = """
import sys
from orchestrator.cli import root
class Endless:
    def __enter__(self): return self
    def __exit__(self, *ended): return None
    def workflows(self):
        print("ready", flush=True)
        {body}
root.main(["list"], obj=Endless)
"""


def _start(body: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [PYTHON, "-c", _ENDLESS.format(body=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def test_ctrl_c_is_130_and_no_traceback() -> None:
    with _start("import threading; threading.Event().wait(60)") as process:
        assert process.stdout is not None
        process.stdout.readline()

        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "Traceback" not in said


def test_a_closed_pipe_ends_the_command_without_a_word() -> None:
    with _start("print('x' * 1_000_000); return []") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()

    assert process.wait(timeout=30) == 141
    assert said == ""
