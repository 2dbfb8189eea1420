"""Help is instant because nothing that runs workflows is loaded for it, and every way to ask for help works."""

from __future__ import annotations

import json
import subprocess

import click
import pytest

from orchestrator.cli import COMMANDS, root
from orchestrator.cli.lazy import LazyGroup
from tests.cli.conftest import Orchestrator
from tests.cli.processes import PYTHON, environment

HEAVY = ("sqlalchemy", "alembic", "celery", "kombu", "flask", "pydantic", "pydantic_settings", "rich", "watchfiles")
_REPORT = """
import json, sys
from orchestrator.cli import root
try:
    root.main(json.loads(sys.argv[1]))
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def _after(arguments: list[str]) -> tuple[str, list[str]]:
    """What the command wrote, and the modules it had loaded by then."""
    done = subprocess.run(
        [PYTHON, "-c", _REPORT, json.dumps(arguments)], capture_output=True, text=True, check=True, env=environment()
    )
    return done.stdout, json.loads(done.stderr)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["instances", "--help"], ["trigger", "--help"], ["dev", "--help"], ["db", "--help"]]
)
def test_help_loads_nothing_that_a_command_needs_to_run(arguments: list[str]) -> None:
    shown, modules = _after(arguments)

    loaded = {name.partition(".")[0] for name in modules}
    assert "Usage: orchestrator" in shown
    assert loaded.isdisjoint(HEAVY)


def test_a_commands_module_is_not_loaded_for_the_help_of_all() -> None:
    _, modules = _after(["--help"])

    assert [name for name in modules if name.startswith("orchestrator.")] == [
        "orchestrator.cli",
        "orchestrator.cli.exits",
        "orchestrator.cli.lazy",
    ]


def _commands(group: LazyGroup, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for name in group.entries:
        command = group.get_command(click.Context(group), name)
        assert command is not None
        found.append(((*path, name), command))
        if isinstance(command, LazyGroup):
            found += _commands(command, (*path, name))
    return found


EVERY_COMMAND = _commands(root)
_IDS = [" ".join(path) for path, _ in EVERY_COMMAND]


@pytest.mark.parametrize(("path", "command"), EVERY_COMMAND, ids=_IDS)
def test_every_command_answers_help_under_its_own_name(
    path: tuple[str, ...], command: click.Command, orchestrator: Orchestrator
) -> None:
    result = orchestrator(*path, "--help")

    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: orchestrator {' '.join(path)} ")
    assert command.name == path[-1]
    assert (command.help or "").strip()


@pytest.mark.parametrize(
    "path", [path for path, command in EVERY_COMMAND if not isinstance(command, LazyGroup)], ids=" ".join
)
def test_every_command_takes_the_output_options(path: tuple[str, ...], orchestrator: Orchestrator) -> None:
    shown = orchestrator(*path, "--help").stdout

    assert "--json" in shown
    assert "[table|wide|json|jsonl|name|id]" in shown
    assert "ORCHESTRATOR_OUTPUT" in shown


def test_help_lists_every_command(orchestrator: Orchestrator) -> None:
    shown = orchestrator("--help").stdout

    assert all(f"\n  {name} " in shown and entry.help in shown for name, entry in COMMANDS.items())


@pytest.mark.parametrize(
    ("given", "meant"),
    [(["trigerr"], "trigger"), (["Instances"], "instances"), (["instances", "terminat"], "terminate")],
)
def test_a_mistyped_command_gets_the_one_that_was_meant(
    given: list[str], meant: str, orchestrator: Orchestrator
) -> None:
    result = orchestrator(*given)

    assert result.exit_code == 2
    assert f"did you mean {meant!r}" in result.stderr


def test_version_is_one_line_and_the_version_command_tells_more(orchestrator: Orchestrator) -> None:
    assert orchestrator("--version").stdout.startswith("orchestrator ")

    told = json.loads(orchestrator("version", "--json").stdout)

    assert {"orchestrator", "python", "celery", "sqlalchemy"} <= told.keys()
