"""What a benchmark's numbers are turned into: a bound that is missed must show, and so must one that was not measured."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import report
from benchmarks.bounds import bounds
from benchmarks.programs import Measured
from benchmarks.rounds import Results
from benchmarks.scale import FULL

MACHINE = {"cpu": "a cpu", "cores": 2, "system": "Linux", "python": "3", "file system": "ext4", "packages": {}}


def results(*values: tuple[str, str, float]) -> Results:
    made = Results(MACHINE, rounds=1, syncs_ms=[0.1])
    for contender, program, value in values:
        made.add(contender, Measured(program, value, "ms"))
    return made


def row_of(tables: str, what: str) -> str:
    return next(line for line in tables.splitlines() if line.startswith(f"| {what} |"))


def published(directory: Path, made: Results, page: Path | None = None) -> str:
    report.publish(made, FULL, directory, page)
    return (directory / "full.md").read_text()


@pytest.mark.parametrize(("ours_ms", "mark"), [(0.6, "| 2.67x | yes |"), (0.8, "| 2x | **no** |")])
def test_a_bound_is_judged_by_the_ratio_to_the_peer(tmp_path: Path, ours_ms: float, mark: str) -> None:
    tables = published(tmp_path, results(("ours postgres", "seq 1000", ours_ms), ("restate", "seq 1000", 1.6)))

    assert mark in row_of(tables, "`seq 1000`, postgres: speed of Restate")


def test_the_median_of_the_rounds_is_what_counts(tmp_path: Path) -> None:
    rounds = [("ours postgres", "timers 2000 p50", late) for late in (40.0, 10.0, 900.0)]

    assert "| 40 ms | yes |" in row_of(published(tmp_path, results(*rounds)), "lateness of 2,000 timers, postgres: p50")


def test_what_was_not_measured_is_neither_reached_nor_missed(tmp_path: Path) -> None:
    tables = published(tmp_path, results(("ours postgres", "seq 1000", 1.0)))

    assert row_of(tables, "`start`, postgres: time of Restate").endswith("|  | - | not measured |")


def test_every_bound_is_in_the_json_with_its_value(tmp_path: Path) -> None:
    published(tmp_path, results(("ours postgres", "seq 1000", 1.0)))

    written = json.loads((tmp_path / "full.json").read_text())
    assert [row["what"] for row in written["bounds"]] == [bound.what for bound in bounds(FULL)]
    assert written["measured"] == {"ours postgres": {"seq 1000": [1.0]}}


def test_the_plot_is_a_picture_with_a_bar_for_each_contender(tmp_path: Path) -> None:
    published(tmp_path, results(("ours postgres", "start", 6.0), ("restate", "start", 7.0), ("celery", "start", 5.0)))

    drawn = ElementTree.fromstring((tmp_path / "full.svg").read_text())
    assert len(drawn.findall("{http://www.w3.org/2000/svg}rect")) == 1 + 3


def test_a_page_keeps_what_people_have_written_around_the_tables(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"# Speed\n\n{report.BEGIN}\nold\n{report.END}\n\nThe end.\n")

    tables = published(tmp_path, results(("ours postgres", "start", 6.0)), page)

    assert page.read_text().startswith(f"# Speed\n\n{report.BEGIN}\n\n![")
    assert page.read_text().endswith(f"{report.END}\n\nThe end.\n")
    assert tables in page.read_text()
    assert "old" not in page.read_text()
    assert page.with_suffix(".svg").exists()
