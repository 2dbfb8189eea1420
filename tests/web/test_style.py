"""The colours can be told apart, in light and dark: WCAG 2.2 AA, computed from the stylesheet."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import web

CSS = (Path(web.__file__).parent / "static" / "app.css").read_text()
TOKENS = {
    name: (light, dark)
    for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", CSS)
}
TEXT = 4.5
OUTLINE = 3.0
PAIRS = [
    *((text, back, TEXT) for text in ("ink", "quiet", "accent", "bad") for back in ("paper", "sheet", "sunken")),
    *((tone, f"{tone}-back", TEXT) for tone in ("good", "bad", "run", "wait", "idle")),
    ("on-accent", "accent", TEXT),
    *(("edge", back, OUTLINE) for back in ("paper", "sheet")),
]


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize(("front", "back", "least"), PAIRS)
@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_have_enough_contrast(front: str, back: str, least: float, theme: int) -> None:
    assert contrast(TOKENS[front][theme], TOKENS[back][theme]) >= least


def test_colours_are_named_in_one_place_only() -> None:
    _, _, rules = CSS.partition("@layer base")
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b", rules) == []


def test_what_the_first_page_needs_is_small() -> None:
    files = Path(web.__file__).parent.joinpath("static").iterdir()
    assert sum(file.stat().st_size for file in files) < 45_000
