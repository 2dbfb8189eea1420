"""The main programs as bars, written as SVG by hand: a picture for the docs needs no plotting library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from benchmarks.bounds import Median, NotMeasured
from benchmarks.scale import Scale

_WIDTH, _NAME, _BAR, _LINE, _HEAD = 760, 150, 500, 20, 34
_CONTENDERS = {
    "ours sqlite": "ours, SQLite",
    "ours postgres": "ours, PostgreSQL",
    "ours postgres x2": "ours, two processes",
    "restate": "Restate",
    "dbos sqlite": "DBOS, SQLite",
    "dbos postgres": "DBOS, PostgreSQL",
    "celery": "Celery",
    "celery x2": "Celery, two processes",
}
_LIMITS = {"ours sqlite": "an insert, SQLite", "ours postgres": "an insert, PostgreSQL"}
_OURS, _PEER, _LIMIT = "#2f6fdd", "#9aa3af", "#d3a13b"


@dataclass(frozen=True, slots=True)
class _Panel:
    title: str
    program: str
    with_limit: bool = False


def _panels(scale: Scale) -> list[_Panel]:
    return [
        _Panel("1,000 steps one after another: ms a step (less is better)", "seq 1000", with_limit=True),
        _Panel(
            f"{scale.instances} workflows of 10 steps at once: steps a second (more is better)", f"many {scale.many}"
        ),
        _Panel("100 steps in parallel: ms in all (less is better)", "fan 100"),
        _Panel("a workflow of one step, from start to result: ms (less is better)", "start"),
        _Panel("from an event to the end of the workflow that waited for it: ms (less is better)", "event"),
    ]


def draw(median: Median, scale: Scale) -> str:
    parts: list[str] = []
    y = 10
    for panel in _panels(scale):
        bars = list(_bars(median, panel))
        if not bars:
            continue
        parts.append(f'<text x="10" y="{y + 18}" font-weight="bold">{escape(panel.title)}</text>')
        y += _HEAD
        longest = max(value for _, value, _ in bars)
        for name, value, colour in bars:
            parts += _bar(y, name, value, longest, colour)
            y += _LINE
        y += 10
    style = 'font-family="system-ui, sans-serif" font-size="13" fill="#1f2430"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" {style} role="img">'
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{y}" fill="#ffffff"/>', *parts, "</svg>"]) + "\n"


def _bars(median: Median, panel: _Panel) -> Iterator[tuple[str, float, str]]:
    wanted = [(name, panel.program, shown) for name, shown in _CONTENDERS.items()]
    if panel.with_limit:
        wanted += [(name, "limit autocommit", shown) for name, shown in _LIMITS.items()]
    for name, program, shown in wanted:
        try:
            value = median(name, program)
        except NotMeasured:
            continue
        is_ours = name.startswith("ours") and program == panel.program
        yield shown, value, _OURS if is_ours else _LIMIT if name.startswith("ours") else _PEER


def _bar(y: int, name: str, value: float, longest: float, colour: str) -> list[str]:
    width = max(value / longest * _BAR, 1)
    return [
        f'<text x="{_NAME}" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
        f'<rect x="{_NAME + 8}" y="{y + 3}" width="{width:.1f}" height="14" fill="{colour}"/>',
        f'<text x="{_NAME + 14 + width:.1f}" y="{y + 14}">{_number(value)}</text>',
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
