"""`python -m tests.faults.growth --steps 100000`: what a worker that runs so many steps grows by, in memory and files."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click

from tests.processes.workers import Site, Stage
from tests.services import PostgresServer, ValkeyServer

STEPS_EACH = 100
AT_ONCE = 20
PATIENCE_S = 600.0


@dataclass(frozen=True)
class Size:
    rss_kb: int
    files: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Size:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return cls(int(status["VmRSS"].split()[0]), len(os.listdir(f"/proc/{pid}/fd")), int(status["Threads"]))


def run_steps(stage: Stage, count: int) -> None:
    """In instances of a hundred steps, of which some sleep and some run side by side."""
    left = count // STEPS_EACH
    while left > 0:
        kinds = ["chain", "blocking-chain", "fan", "fan"]
        batch = [
            stage.start(kinds[number % 4], count=STEPS_EACH, asynchronous=number % 2 == 0)
            for number in range(min(left, AT_ONCE))
        ]
        for instance in batch:
            instance.result(PATIENCE_S)
        left -= len(batch)


def measure(site: Site, stage: Stage, *, warm_up: int, steps: int) -> tuple[Size, Size]:
    """Before and after so many steps of one worker that has done some already."""
    worker = site.worker("--concurrency", "8")
    run_steps(stage, warm_up)
    before = Size.of(worker.pid)
    run_steps(stage, steps)
    return before, Size.of(worker.pid)


@click.command()
@click.option("--steps", default=100_000, show_default=True)
@click.option("--warm-up", default=5_000, show_default=True)
def main(steps: int, warm_up: int) -> None:
    with tempfile.TemporaryDirectory() as name, PostgresServer() as postgres, ValkeyServer() as valkey:
        from orchestrator.store import migrate
        from orchestrator.store.database import Database

        url = postgres.create_database("growth")
        migrate.upgrade(Database(url))
        with Site(Path(name), url, valkey.url) as site:
            before, after = measure(site, Stage(site.client, Path(name)), warm_up=warm_up, steps=steps)
    click.echo(f"after {warm_up} steps: {before}\nafter {steps} more: {after}")


if __name__ == "__main__":
    main()
