"""`python -m tests.chaos`: a run of chaos with a report; its exit code says whether every promise was kept."""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
from pathlib import Path

import click

from tests.chaos.run import run


@click.command()
@click.option("--seed", default=1, show_default=True, help="Of the programs and of the order of the faults.")
@click.option("--minutes", default=1.0, show_default=True, help="How long things are broken.")
@click.option("--workers", default=2, show_default=True, help="In turns: alone, a parent with two processes, prefork.")
@click.option("--database", type=click.Choice(["postgres", "sqlite"]), default="postgres", show_default=True)
@click.option("--at-once", default=60, show_default=True, help="Programs that run at the same time.")
@click.option("--keep", is_flag=True, help="Keep the workers' logs, and say where they are.")
@click.option("--verbose", is_flag=True, help="Say what is broken when.")
def main(seed: int, minutes: float, workers: int, database: str, at_once: int, keep: bool, verbose: bool) -> None:
    """Run random programs while workers, broker and database are killed, frozen and restarted."""
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, format="%(asctime)s %(name)s: %(message)s")
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-chaos-"))
    result = run(
        folder, seed=seed, seconds=minutes * 60, workers=workers, database=database, at_once=at_once, every_s=(0.5, 4.0)
    )
    click.echo(result.report)
    if keep or not result.good:
        click.echo(f"\nThe logs of the workers are in {folder}.")
    else:
        shutil.rmtree(folder)
    sys.exit(0 if result.good else 1)


if __name__ == "__main__":
    main()
