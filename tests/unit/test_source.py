"""The same code has the same fingerprint however it is laid out, and other code has another."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from orchestrator.authoring import source
from orchestrator.authoring.source import Source, source_of

Load = Callable[[str], ModuleType]

CODE = """
from orchestrator import WorkflowEntrypoint

LIMIT = 3

def charge(amount):
    return rounded(amount)

def rounded(amount):
    return round(amount, 2)

def unrelated():
    return 1

class Orders(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("charge", charge, 7)
"""


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def make(code: str) -> ModuleType:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        (folder / "shop.py").write_text(code)
        spec = importlib.util.spec_from_file_location("shop_under_test", folder / "shop.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["shop_under_test"] = module
        spec.loader.exec_module(module)
        return module

    return make


def fingerprint(load: Load, code: str) -> str:
    source: Source = source_of(load(code).Orders)
    return source.fingerprint


@pytest.mark.parametrize(
    "other",
    [
        CODE.replace('"charge", charge', "'charge',   charge"),
        CODE.replace("        await", "        # a comment\n\n        await"),
        CODE.replace("step):\n", 'step):\n        """What it does."""\n'),
        CODE.replace("    return 1", "    return 2"),
        CODE.replace("def unrelated", "def renamed"),
    ],
)
def test_layout_comments_and_what_it_does_not_use_make_no_version(load: Load, other: str) -> None:
    assert other != CODE
    assert fingerprint(load, other) == fingerprint(load, CODE)


@pytest.mark.parametrize(
    "other",
    [
        CODE.replace('"charge"', '"charge card"'),
        CODE.replace("amount, 2", "amount, 3"),
        CODE.replace("return rounded(amount)", "return amount"),
        CODE.replace("charge, 7", "charge, 8"),
    ],
)
def test_what_it_does_makes_a_version_also_where_a_function_beside_it_does_it(load: Load, other: str) -> None:
    assert other != CODE
    assert fingerprint(load, other) != fingerprint(load, CODE)


def test_a_class_whose_source_is_not_at_hand_has_a_fingerprint_all_the_same() -> None:
    space: dict[str, Any] = {"__name__": "made"}
    exec("class Made:\n    def run(self): return 1", space)
    other: dict[str, Any] = {"__name__": "made"}
    exec("class Made:\n    def run(self): return self", other)
    assert source_of(space["Made"]).tree is None
    assert source_of(space["Made"]).fingerprint != source_of(other["Made"]).fingerprint


def test_one_thread_at_a_time_builds_a_syntax_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """CPython 3.11 counts the depth of a syntax tree in one place for all threads: `SystemError: AST constructor recursion
    depth mismatch`, where one builds another meanwhile."""
    within, together = [0], threading.Event()

    def parsed(thing: Any) -> None:
        within[0] += 1
        if within[0] > 1:
            together.set()
        together.wait(0.2)
        within[0] -= 1

    monkeypatch.setattr(source, "_parsed", parsed)
    threads = [threading.Thread(target=source_of, args=(type(f"Made{n}", (), {}),)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not together.is_set()
