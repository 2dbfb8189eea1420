"""Two deployments on one broker: with prefixes of their own neither answers the other's doorbells."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from orchestrator.store import migrate
from orchestrator.store.database import Database
from tests.processes.workers import PATIENCE_S, Site, Stage

NOBODY_RINGS_AGAIN = {"ORCHESTRATOR_GRACE_MS": "600000"}
"""A message that the wrong worker has answered is lost for the length of the test."""


def test_each_hears_its_own_doorbells_only(postgres_url: str, valkey_url: str, tmp_path: Path) -> None:
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    other_url = f"sqlite:///{other_folder / 'other.db'}"
    with closing(Database(other_url)) as database:
        migrate.upgrade(database)
    with (
        Site(tmp_path, postgres_url, valkey_url, dict(NOBODY_RINGS_AGAIN)) as site,
        Site(other_folder, other_url, valkey_url, dict(NOBODY_RINGS_AGAIN)) as others,
        Stage(site.client, tmp_path) as stage,
    ):
        others.worker(ORCHESTRATOR_QUEUE_PREFIX="second")
        site.worker()

        started = [stage.start("chain", count=3) for _ in range(20)]

        assert [instance.result(PATIENCE_S) for instance in started] == [3] * 20
