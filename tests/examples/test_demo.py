"""The demo as people run it: in a process of its own, piped and on a terminal, twice in the same folder."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SECONDS = 60


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), **more}


def test_the_demo_runs_twice_in_a_row_piped_and_on_a_terminal_without_colours(directory: Path) -> None:
    piped = subprocess.run(
        [sys.executable, "-m", "examples.demo"],
        cwd=directory,
        env=environment(PYTHONIOENCODING="ascii"),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    code, shown = on_a_terminal([sys.executable, str(REPOSITORY / "examples" / "demo.py")], directory)

    assert (piped.returncode, piped.stderr) == (0, "")
    assert_says_what_was_done(piped.stdout)
    assert code == 0, shown
    assert_says_what_was_done(shown)
    assert "\x1b[3" not in shown, "NO_COLOR was set"


def on_a_terminal(command: list[str], directory: Path) -> tuple[int, str]:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command, cwd=directory, env=environment(TERM="xterm", NO_COLOR="1"), stdout=theirs, stderr=theirs
    ) as demo:
        os.close(theirs)
        pieces = []
        try:
            while piece := os.read(ours, 65536):
                pieces.append(piece)
        except OSError:  # Linux ends a terminal nobody writes to any more with an error
            pass
        finally:
            os.close(ours)
        return demo.wait(timeout=SECONDS), b"".join(pieces).decode(errors="replace")


def assert_says_what_was_done(text: str) -> None:
    for said in (
        "context-managers.txt",
        "3 attempts to pay, 1 charge, approved by the demo's manager",
        "confirmed",
        "terminated, 1 charge refunded",
        "in the stock report",
        "All as expected",
        "What to do next",
        "trigger documents",
    ):
        assert said in text


def test_the_demo_says_what_is_wrong_and_fails_where_it_can_not_keep_its_files(directory: Path) -> None:
    (directory / ".orchestrator").write_text("a file where the folder should be")

    failed = subprocess.run(
        [sys.executable, "-m", "examples.demo"],
        cwd=directory,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert failed.returncode == 1
    assert "did not come out as expected" in failed.stderr
    assert ".orchestrator" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize(
    ("path", "workflows"),
    [
        ("examples/documents/app.py", "documents"),
        ("examples/orders/app.py", "order-processing stock-report"),
        ("examples/cart_reminder/app.py", "cart-reminder"),
    ],
)
def test_each_example_loads_from_its_file_as_the_readme_says(path: str, workflows: str) -> None:
    program = "import sys; from orchestrator.application import load_application as load; print(*load(sys.argv[1]))"

    loaded = subprocess.run(
        [sys.executable, "-c", program, path],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert loaded.stdout.split() == workflows.split(), loaded.stderr
