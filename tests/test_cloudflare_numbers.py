"""Whether the page about Cloudflare links each of their numbered behaviours to the tests that prove it, or says why not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checkout import ROOT, files

PAGE = ROOT / "docs" / "cloudflare.md"
NUMBERS = range(1, 82)
REASONS = ("about JavaScript", "differs on purpose", "not there yet")


def marked() -> Iterator[tuple[int, str, Path]]:
    """(number, test, file), as the markers say."""
    for path in files():
        if path.name.startswith("test_") and path.suffix == ".py":
            for function in ast.parse(path.read_text()).body:
                if isinstance(function, ast.FunctionDef):
                    for number in numbers_of(function):
                        yield number, function.name, path


def numbers_of(function: ast.FunctionDef) -> Iterator[int]:
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.cloudflare":
            yield from (ast.literal_eval(number) for number in decorator.args)


@pytest.fixture(scope="module")
def rows() -> dict[int, str]:
    found = re.findall(r"^\| (\d+) \| .+? \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    assert len({number for number, _ in found}) == len(found)
    return {int(number): proof for number, proof in found}


def test_every_number_has_a_line(rows: dict[int, str]) -> None:
    assert list(rows) == list(NUMBERS)


def test_a_line_links_all_tests_of_its_number_or_says_why_there_is_none(rows: dict[int, str]) -> None:
    proofs: dict[int, set[tuple[str, Path]]] = {number: set() for number in NUMBERS}
    for number, test, path in marked():
        proofs[number].add((test, path))
    for number, proof in rows.items():
        linked = {
            (test, (PAGE.parent / path).resolve()) for test, path in re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", proof)
        }
        assert linked == proofs[number], number
        assert linked or proof.startswith(REASONS), number
