"""Whether what the pages say is true: links lead somewhere, code runs, commands exist; it must not judge the prose."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from orchestrator.application import load_application
from orchestrator.client import Client
from orchestrator.errors import InstanceErrored
from orchestrator.settings import Settings
from tasks.embedded import Embedded
from tests.checkout import ROOT, files, name_of
from tests.command_lines import check_orchestrator, typed_into

PAGES = sorted(name_of(path) for path in files() if path.suffix == ".md")
_MARKDOWN = MarkdownIt()


def tokens(page: str) -> list[Token]:
    return _MARKDOWN.parse((ROOT / page).read_text())


def blocks(page: str, language: str) -> list[str]:
    return [token.content for token in tokens(page) if token.type == "fence" and token.info == language]


def links(page: str) -> Iterator[str]:
    for token in tokens(page):
        for child in token.children or ():
            target = child.attrGet("href") if child.type == "link_open" else child.attrGet("src")
            if isinstance(target, str):
                yield target


def anchors(page: Path) -> set[str]:
    """The addresses of a page's headings, spelled as code hosts do."""
    lines = (line.lstrip("#").strip().lower() for line in page.read_text().splitlines() if line.startswith("#"))
    return {re.sub(r"[^\w\- ]", "", line).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings_that_exist(page: str) -> None:
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES)
def test_a_test_that_is_named_as_a_proof_exists(page: str) -> None:
    for name, path in re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", (ROOT / page).read_text()):
        assert f"def {name}(" in ((ROOT / page).parent / path).read_text(), name


@pytest.mark.parametrize("page", PAGES)
def test_every_code_block_says_its_language(page: str) -> None:
    unnamed = [token for token in tokens(page) if token.type == "fence" and not token.info]

    # Drawings and names need none; code that is meant to be typed does.
    assert not [token.content for token in unnamed if re.search(r"^(\$ |from |import )", token.content, re.MULTILINE)]


@pytest.mark.parametrize("page", PAGES)
def test_python_blocks_parse(page: str) -> None:
    for block in blocks(page, "python"):
        ast.parse(block)


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist_with_their_options(page: str) -> None:
    for block in blocks(page, "console"):
        for words in typed_into(block):
            if words and words[0] == "orchestrator":
                check_orchestrator(words)


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_that_are_named_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z.]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^\$ )make ([a-z.]+)", (ROOT / page).read_text(), re.MULTILINE))

    assert named <= targets


def test_the_tour_of_the_readme_ends_as_it_says(tmp_path: Path) -> None:
    application, calling = blocks("README.md", "python")
    # The reader needs the ten seconds to kill the service; this test does not.
    (tmp_path / "app.py").write_text(application.replace('"10 seconds"', '"1 second"'))
    url = f"sqlite:///{tmp_path / 'tour.db'}"

    with Embedded(Settings(database_url=url), load_application(str(tmp_path / "app.py"))):
        called = subprocess.run(
            [sys.executable, "-c", calling],
            env={**os.environ, "ORCHESTRATOR_DATABASE_URL": url},
            capture_output=True,
            text=True,
        )

    assert called.returncode == 0, called.stderr
    assert ast.literal_eval(called.stdout) == {
        "payment": {"id": "payment-of-ann", "attempts": 3},
        "approved_by": "mia",
        "shipment": "1 parcels for payment-of-ann",
    }


def test_the_saga_of_its_page_is_undone_as_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "app.py").write_text(blocks("docs/sagas.md", "python")[0])
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'saga.db'}")

    with Embedded(settings, load_application(str(tmp_path / "app.py"))), Client(settings) as client:
        instance = client.workflow("orders").create({"items": ["tea"]})
        with pytest.raises(InstanceErrored, match="the last van has left"):
            instance.result(timeout=60)
        assert instance.status().rollback == {"outcome": "complete", "error": None}

    printed = capsys.readouterr().out
    assert re.search(r"refunded payment-\w+, because of: the last van has left\nreleased reservation-of-1", printed)


def test_the_tests_of_the_page_about_testing_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    page = ModuleType("page_about_testing")
    monkeypatch.setitem(sys.modules, page.__name__, page)
    exec("".join(blocks("docs/testing.md", "python")), page.__dict__)
    tests = [value for name, value in vars(page).items() if name.startswith("test_")]

    assert len(tests) == 3
    for test in tests:
        test()
