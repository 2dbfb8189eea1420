"""A command that comes while `orchestrator dev` starts: it waits for the tables that are about to be there."""

from __future__ import annotations

from contextlib import closing

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli import devfile, root, starting
from orchestrator.store import migrate
from orchestrator.store.database import Database


def _list(url: str) -> Result:
    return CliRunner().invoke(root, ["list", "--json"], env={"DATABASE_URL": url})


@pytest.fixture
def url(tmp_path: object) -> str:
    """Of a database without tables."""
    return f"sqlite:///{tmp_path}/new.db"


def test_a_command_waits_for_the_tables_of_a_dev_that_is_starting(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def note(text: str) -> None:
        said.append(text)
        with closing(Database(url)) as database:
            migrate.upgrade(database)

    monkeypatch.setattr(starting, "note", note)
    devfile.write_start(app="app.py", database=url)

    result = _list(url)

    assert (result.exit_code, result.stdout) == (0, "[]\n"), result.stderr
    assert said == ["`orchestrator dev` is starting here: waiting for its tables."]


@pytest.mark.parametrize("left", ["nothing", "another database", "a start long ago", "a dev that runs", "no time"])
def test_without_such_a_start_it_says_at_once_what_is_missing(
    left: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if left == "another database":
        devfile.write_start(app="app.py", database="sqlite:///other.db")
    elif left == "a start long ago":
        devfile.write_start(app="app.py", database=url)
        monkeypatch.setattr(devfile, "START_S", 0.0)
    elif left == "a dev that runs":
        devfile.write_devfile(app="app.py", url="http://127.0.0.1:1", database=url)
    elif left == "no time":
        devfile.PATH.parent.mkdir()
        devfile.PATH.write_text(f'{{"database": "{url}", "starting_at": "now"}}')

    result = _list(url)

    assert result.exit_code == 1
    assert "orchestrator db upgrade" in result.stderr
    assert "waiting" not in result.stderr
