"""`orchestrator db` on real databases: from nothing to this code's schema, twice, and what it says of others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.cli.configuration import broker_words, database_words, without_password
from orchestrator.store.schema import HEAD
from tests.cli.conftest import Orchestrator


def test_upgrade_goes_from_nothing_to_this_codes_schema_and_may_be_run_again(
    orchestrator: Orchestrator, empty_database_url: str
) -> None:
    environment = {"DATABASE_URL": empty_database_url}

    empty = json.loads(orchestrator("db", "current", "--json", env=environment).stdout)
    first = orchestrator("db", "upgrade", env=environment)
    second = orchestrator("db", "upgrade", "--json", env=environment)
    current = json.loads(orchestrator("db", "current", "--json", env=environment).stdout)

    assert (empty["state"], empty["schema"]) == ("empty", None)
    assert (first.exit_code, first.stdout) == (0, "")
    assert f"went from nothing to schema {HEAD}" in first.stderr
    assert json.loads(second.stdout) == {"database": current["database"], "before": HEAD, "after": HEAD}
    assert (current["state"], current["schema"]) == ("current", HEAD)


def test_an_empty_database_says_the_next_command(orchestrator: Orchestrator, empty_sqlite_url: str) -> None:
    result = orchestrator("db", "current", env={"DATABASE_URL": empty_sqlite_url})

    assert result.exit_code == 0
    assert "Next: orchestrator db upgrade" in result.stderr


@pytest.mark.parametrize(
    ("url", "exit_code", "told"),
    [
        ("postgresql://ann:s3cret@127.0.0.1:1/none", 6, "127.0.0.1:1"),
        ("mysql://root@127.0.0.1/none", 2, "sqlite:///"),
        ("not an address", 2, "sqlite:///"),
    ],
)
def test_a_database_that_is_not_there_is_told_without_its_password(
    url: str, exit_code: int, told: str, orchestrator: Orchestrator
) -> None:
    result = orchestrator("db", "current", env={"DATABASE_URL": url})

    assert result.exit_code == exit_code
    assert told in result.stderr
    assert "Next:  " in result.stderr
    assert "s3cret" not in result.output


def test_a_folder_that_can_not_be_made_is_6(orchestrator: Orchestrator, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    result = orchestrator("db", "upgrade", env={"DATABASE_URL": f"sqlite:///{tmp_path}/file/x.db"})

    assert result.exit_code == 6


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:s3cret@db.example:5432/shop", "postgresql://ann:***@db.example:5432/shop"),
        ("redis://:s3cret@cache:6379/0", "redis://:***@cache:6379/0"),
        ("postgresql://ann:p@ss@db/shop", "postgresql://ann:***@db/shop"),
        ("sqlite:///a/b.db", "sqlite:///a/b.db"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_what_runs_in_this_process_is_said_so() -> None:
    assert database_words("sqlite:///.orchestrator/orchestrator.db") == "SQLite, .orchestrator/orchestrator.db"
    assert broker_words(None) == broker_words("memory://") == "in this process: no Redis needed"
    assert broker_words("redis://:s3cret@cache/0") == "redis://:***@cache/0"
