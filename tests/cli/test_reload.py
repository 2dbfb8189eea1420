"""Which files restart `orchestrator dev`, and which ends of its child are worth waiting for an edit."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from orchestrator.cli import exits
from orchestrator.cli.reload import code_filter, mended_by_an_edit, watched_directories


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("app.py", True),
        ("flows/orders.py", True),
        (".env", True),
        ("notes.txt", False),
        ("app.pyc", False),
        (".orchestrator/orchestrator.db-wal", False),
        (".git/hooks/x.py", False),
        (".venv/lib/x.py", False),
        ("venv/lib/x.py", False),
        ("flows/__pycache__/x.py", False),
        ("node_modules/gyp/x.py", False),
    ],
)
def test_only_the_applications_code_restarts_it(file: str, counts: bool, tmp_path: Path) -> None:
    assert code_filter([tmp_path])(None, str(tmp_path / file)) is counts


def test_a_project_below_a_hidden_or_ignored_folder_is_watched_all_the_same(tmp_path: Path) -> None:
    root = tmp_path / ".worktrees" / "env"

    assert code_filter([root])(None, str(root / "app.py"))


def test_the_directories_of_files_are_watched_and_the_current_one_for_modules(tmp_path: Path) -> None:
    assert watched_directories("a/app.py, b/other.py,a/more.py") == [tmp_path / "a", tmp_path / "b"]
    assert watched_directories("shop.flows") == [tmp_path]


@pytest.mark.parametrize(
    ("code", "worth_it"),
    [
        (exits.APPLICATION_BROKEN, True),
        (-signal.SIGSEGV, True),
        (exits.USAGE, False),
        (exits.UNREACHABLE, False),
        (exits.FAILURE, False),
        (exits.OK, False),
    ],
)
def test_an_edit_can_mend_the_application_but_not_the_settings_or_the_database(code: int, worth_it: bool) -> None:
    assert mended_by_an_edit(code) is worth_it
