"""docs/cli.md says what the commands' own help says."""

from __future__ import annotations

from orchestrator.cli import exits
from orchestrator.cli.reference import EXITS, reference
from tests.checkout import ROOT


def test_the_page_is_the_one_that_the_help_makes() -> None:
    assert (ROOT / "docs" / "cli.md").read_text() == reference(), (
        "docs/cli.md is not current: python -m orchestrator.cli.reference > docs/cli.md"
    )


def test_every_exit_code_is_explained() -> None:
    internal = {exits.APPLICATION_BROKEN, exits.BROKEN_PIPE}
    codes = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}

    assert codes - internal == set(EXITS)
