"""One run of chaos from its services to its verdict."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from orchestrator.errors import OrchestratorError
from tests.chaos.crowd import Crowd
from tests.chaos.injector import Injector
from tests.chaos.plan import faults
from tests.chaos.recovery import Recovery
from tests.chaos.report import written
from tests.chaos.site import open_site
from tests.chaos.verdict import Verdict, judge

QUIET_S = 300.0
"""After the last fault everything must come to its end within this, or it is lost."""
START_S = 60.0


@dataclass
class Result:
    verdict: Verdict
    report: str

    @property
    def good(self) -> bool:
        return not (self.verdict.lost or self.verdict.wrong or self.verdict.after_commit)


def run(
    folder: Path, *, seed: int, seconds: float, workers: int, database: str, at_once: int, every_s: tuple[float, float]
) -> Result:
    began = time.monotonic()
    with open_site(folder, database, workers, seed) as site:
        _wait_until(lambda: site.alive() >= workers, START_S)
        recovery = Recovery(site)
        crowd = Crowd(site, seed, at_once)
        injector = Injector(site, recovery, faults(seed, every_s, postgres=site.postgres is not None))
        crowd.start()
        injector.run(seconds)
        crowd.enough()

        def all_is_quiet() -> bool:
            injector.revive()
            return crowd.all_is_quiet()

        _wait_until(all_is_quiet, QUIET_S)
        verdict = judge(site, list(crowd.started.values()), injector.frozen)
        crowd.close()
        title = f"chaos: seed {seed}, {workers} workers, {database}, Valkey"
        took_s = time.monotonic() - began
        return Result(verdict, written(title, folder, verdict, crowd, injector, recovery, took_s))


def _wait_until(condition: object, seconds: float) -> None:
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        with suppress(OrchestratorError, SQLAlchemyError):
            if condition():  # type: ignore[operator]
                return
        time.sleep(0.1)
