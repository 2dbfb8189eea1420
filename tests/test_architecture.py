"""The walls of the house: who may import whom, and what a file may be; it must not know what any file does."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.checkout import ROOT, files, name_of

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
ROOMS = ("orchestrator", "tasks", "web")
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
MAX_METHODS = 20
# Names that say "whatever did not fit elsewhere".
NO_NAMES = {"utils.py", "util.py", "helpers.py", "helper.py", "common.py", "misc.py", "manager.py", "base.py"}

_LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"

# For each contract one import that it must refuse, in a module of its own so that all can stand in one copy.
PLANTED = {
    "Three rooms: the engine is below, tasks and web never meet": ("web/planted_rooms.py", "import tasks"),
    "Inside orchestrator every module has a floor, and imports only go down": (
        "orchestrator/store/planted_floors.py",
        "import orchestrator.client",
    ),
    "The engine library knows no transport and no web framework": ("orchestrator/engine/planted.py", "import kombu"),
    "Authoring and replay do no I/O": ("orchestrator/authoring/planted.py", "import socket"),
    "Replay reads no clock and no randomness: the journal is its only input": (
        "orchestrator/replay/planted.py",
        "def now():\n    import time",
    ),
    "The store decides nothing and rings nobody": (
        "orchestrator/store/planted_store.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from orchestrator.doorbell import Ring",
    ),
    "Only the store speaks SQL": ("web/planted_sql.py", "import sqlalchemy"),
    "The HTTP client speaks to servers, never to a database or an engine": (
        "orchestrator/remote/planted_remote.py",
        "from orchestrator.store import planted_store",
    ),
    "web reaches the engine only through client and inspection": (
        "web/planted_web.py",
        "from orchestrator.store import planted_store",
    ),
    "Workers boot without Flask": ("tasks/planted_headless.py", "import flask"),
    "Nothing that ships imports tests or examples": ("tasks/planted_tests.py", "import tests"),
}


def lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    # A process of its own: import-linter imports the packages of the directory it runs in.
    command = [sys.executable, "-c", _LINT_IMPORTS, "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True)


def python_files(*folders: str) -> Iterator[Path]:
    return (path for path in files() if path.suffix == ".py" and name_of(path).split("/")[0] in folders)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy in which a test may break the rules."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def definitions(kind: Any) -> Iterator[tuple[str, Any]]:
    """The nodes of that kind in everything that ships, each with where it stands."""
    for path in python_files(*ROOMS):
        # A migration is one long list of what it creates, and is never touched again.
        if "migrations" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, kind):
                    yield f"{name_of(path)}:{node.lineno} {node.name}", node


def imported_names(node: ast.AST) -> list[tuple[str, str]]:
    """What an import statement takes, as (module, name)."""
    if isinstance(node, ast.ImportFrom):
        return [(node.module or "", alias.name) for alias in node.names]
    return [(alias.name, "") for alias in node.names] if isinstance(node, ast.Import) else []


def test_imports_go_only_where_they_may() -> None:
    linted = lint_imports(ROOT)

    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_every_contract_refuses_what_it_is_there_for(house: Path) -> None:
    for file, code in PLANTED.values():
        (house / file).write_text(code + "\n")

    linted = lint_imports(house)

    verdicts = {line.removesuffix(" BROKEN") for line in linted.stdout.splitlines() if line.endswith(" BROKEN")}
    assert verdicts == set(PLANTED), linted.stdout + linted.stderr


def test_a_module_without_a_floor_is_refused(house: Path) -> None:
    (house / "orchestrator" / "attic.py").write_text("")

    linted = lint_imports(house)

    assert linted.returncode != 0
    assert "orchestrator.attic" in linted.stdout


def test_the_engine_hands_connections_on_and_builds_no_sql() -> None:
    """Import-linter sees that sqlalchemy is imported, not which of its names."""
    allowed = {
        "sqlalchemy": {"Connection"},
        "sqlalchemy.exc": {"SQLAlchemyError", "OperationalError", "IntegrityError"},
    }
    found = [
        f"{name_of(path)}:{node.lineno} {name}"
        for path in (ROOT / "orchestrator" / "engine").glob("**/*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for module, name in imported_names(node)
        if module.split(".")[0] == "sqlalchemy" and name not in allowed.get(module, set())
    ]

    assert not found


def test_no_file_is_too_long_to_read() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in files() if path.suffix == ".py"}

    assert not {name: length for name, length in lengths.items() if length > MAX_FILE_LINES}


def test_every_file_is_named_for_what_it_holds() -> None:
    assert not [name_of(path) for path in files() if path.name in NO_NAMES]


@pytest.mark.parametrize("folder", [*ROOMS, "examples", "tests"])
def test_every_module_says_in_a_sentence_why_it_exists(folder: str) -> None:
    first_lines = {
        name_of(path): (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0]
        for path in python_files(folder)
        if path.stat().st_size
    }

    assert not [name for name, line in first_lines.items() if not line.endswith((".", "?"))]


def test_functions_are_short() -> None:
    lengths = {name: node.end_lineno - node.lineno + 1 for name, node in definitions(FUNCTION)}

    assert not {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES}


def test_no_class_does_everything() -> None:
    methods = {
        name: len({part.name for part in node.body if isinstance(part, FUNCTION)})
        for name, node in definitions(ast.ClassDef)
    }

    assert not {name: count for name, count in methods.items() if count > MAX_METHODS}
