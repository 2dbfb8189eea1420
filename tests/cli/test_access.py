"""`orchestrator tokens` and `orchestrator audit`, on a real database."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from orchestrator.cli import root


@pytest.fixture
def run(sqlite_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    return lambda *arguments: CliRunner().invoke(root, list(arguments))


def test_a_token_is_created_listed_and_revoked_and_each_change_is_in_the_log(run) -> None:
    made = json.loads(run("tokens", "create", "ci", "--role", "trigger", "--workflow", "ord*", "--json").stdout)
    assert made["secret"].startswith(f"orc_{made['id']}_")
    assert (made["role"], made["workflows"]) == ("trigger", ["ord*"])
    listed = run("tokens", "list").output
    assert "ci" in listed
    assert "valid" in listed
    assert made["secret"] not in listed
    assert "revoked" in run("tokens", "revoke", made["id"]).output
    assert "revoked" in run("tokens", "list").output
    entries = json.loads(run("audit", "list", "--json").stdout)
    assert [(row["actor"], row["action"]) for row in entries] == [
        ("command line", "revoke_token"), ("command line", "create_token"),
    ]  # fmt: skip


def test_a_token_that_is_not_there_can_not_be_revoked(run) -> None:
    assert run("tokens", "revoke", "nothing").exit_code == 3
