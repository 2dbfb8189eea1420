"""Turns the results of a run into what people read: JSON, a page of tables and a plot; it measures nothing."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import plot
from benchmarks.bounds import Median, NotMeasured, bounds
from benchmarks.contenders import CONTENDERS
from benchmarks.disturbance import MUCH_PERCENT
from benchmarks.rounds import Results
from benchmarks.scale import Scale

MARKS = {True: "yes", False: "**no**", None: "-"}
BEGIN, END = "<!-- begin: make bench -->", "<!-- end: make bench -->"


def publish(results: Results, scale: Scale, directory: Path, page: Path | None) -> None:
    """`scale`.json, .md and .svg into the directory; and both of the latter into the page, if there is one."""
    median = median_of(results)
    judged = [bound.judge(median) for bound in bounds(scale)]
    directory.mkdir(parents=True, exist_ok=True)
    raw = {"measured_at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "scale": scale.name, **asdict(results)}
    promises = {name: CONTENDERS[name].promise for name in results.measured}
    (directory / f"{scale.name}.json").write_text(
        json.dumps({**raw, "promises": promises, "bounds": judged}, indent=1, ensure_ascii=False) + "\n"
    )
    tables = "\n".join(_page(results, judged, promises, raw["measured_at"]))
    drawing = plot.draw(median, scale)
    (directory / f"{scale.name}.md").write_text(tables)
    (directory / f"{scale.name}.svg").write_text(drawing)
    if page is not None:
        _insert(page, tables, drawing)
    print("\n" + tables)
    print(f"Written to {directory}/{scale.name}.json, .md and .svg.")


def median_of(results: Results) -> Median:
    def median(contender: str, program: str) -> float:
        values = results.measured.get(contender, {}).get(program)
        if not values:
            raise NotMeasured
        return statistics.median(values)

    return median


def _insert(page: Path, tables: str, drawing: str) -> None:
    """Between the two marks of the page; what stands around them is written by people."""
    text = page.read_text()
    before, found, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise SystemExit(f"{page} has no place for the tables: it needs the lines {BEGIN} and {END}.")
    picture = page.with_suffix(".svg")
    picture.write_text(drawing)
    shown = f"![Bars of the main programs for each contender]({picture.name})"
    page.write_text(f"{before}{BEGIN}\n\n{shown}\n\n{tables}\n{END}{after}")


def _page(results: Results, judged: list[dict[str, Any]], promises: dict[str, str], at: str) -> Iterator[str]:
    machine = results.machine
    others = [one for programs in results.others.values() for values in programs.values() for one in values]
    yield (
        f"Measured {at} on {machine['cpu']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}; "
        f"medians of {results.rounds} round{'s' * (results.rounds != 1)}. A synced write of 512 bytes took "
        f"{statistics.median(results.syncs_ms):.2f} ms on {machine['file system']}. Meanwhile other programs used "
        f"{statistics.median(others):.0f} % of the processor; for {_share(others)} of the numbers more than "
        f"{MUCH_PERCENT:g} %, whatever the number of tries."
    )
    yield ""
    yield from _table(
        ("what", "must reach", "measured", "reached", "from"),
        [(row["what"], row["must"], row["measured"] or "", MARKS[row["holds"]], row["from"]) for row in judged],
    )
    yield "What was measured (medians; a dash: the contender has no such thing, or it would take minutes):"
    yield ""
    programs = list(results.units)
    compared = [name for name in results.measured if len(results.measured[name]) > 1 and "idle" not in name]
    compared = [name for name in compared if name != "replay"]
    rows = []
    for program in programs:
        values = {name: found[program] for name, found in results.measured.items() if program in found}
        if any(name in compared for name in values):
            cells = [f"{statistics.median(values[name]):.4g}" if name in values else "-" for name in compared]
            rows.append((program, results.units[program], *cells))
    yield from _table(("program", "unit", *compared), rows)
    alone = [name for name in results.measured if name not in compared]
    yield from _table(
        ("program", "unit", "value"),
        [
            (f"{name}: {program}", results.units[program], f"{statistics.median(values):.4g}")
            for name in alone
            for program, values in results.measured[name].items()
        ],
    )
    yield "What is on disk when a step counts as done:"
    yield ""
    yield from _table(("contender", "promise and settings"), list(promises.items()))
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    yield f"Versions: {packages}."
    for failure in results.failures:
        yield f"\nFailed: {failure}"


def _share(others: list[float]) -> str:
    return f"{sum(one > MUCH_PERCENT for one in others) / len(others):.0%}"


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    if not rows:
        return
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
    yield ""
