"""The live picture fits its terminal, shows what matters now, and leaves the terminal as it was."""

from __future__ import annotations

import io
import os
import pty
import subprocess
from typing import Any

import pytest

from orchestrator.cli.changes import Changes
from orchestrator.cli.liveview import choose, picture_of, remark
from tests.cli.processes import PYTHON, environment
from tests.cli.stub import T0, detail, step


def _drawn(found: Any, *, room: int = 20, width: int = 100) -> list[str]:
    from rich.console import Console

    screen = Console(file=io.StringIO(), width=width, height=40, force_terminal=False, color_system=None)
    with screen.capture() as drawn:
        screen.print(picture_of(found, T0 + 5_000, room))
    return [line.rstrip() for line in drawn.get().splitlines()]


def test_the_picture_tells_status_steps_attempts_and_the_reason() -> None:
    declined = {"name": "CardError", "message": "declined"}
    steps = [
        step("stock"),
        step("charge", status="retrying", attempts=2, ended_at=None, due_at=T0 + 35_000, error=declined),
        step("approval", kind="waitForEvent", status="waiting", started_at=T0, ended_at=None, due_at=T0 + 65_000),
    ]

    lines = _drawn(detail(status="waiting", ended_at=None, steps=steps, waiting_for="two things"))

    assert lines[0] == "⏰ Waiting  orders  order-1  5s"
    assert lines[1].split() == ["✅", "stock-1", "500ms"]
    assert "again in 30s" in lines[2]
    assert "attempt 2" in lines[2]
    assert "CardError: declined" in lines[2]
    assert "times out in 1m" in lines[3]
    assert lines[4].strip() == "waiting for two things"


def test_a_rollback_is_not_taken_for_the_step_that_it_undoes() -> None:
    found = detail(status="rollingBack", ended_at=None, steps=[step("charge"), step("charge", kind="rollback")])

    assert [line.split()[1:-1] for line in _drawn(found)[1:3]] == [["charge-1"], ["undo", "charge-1"]]
    assert [line.split()[2:-2] for line in Changes().lines(found, T0)[:2]] == [["charge-1"], ["undo", "charge-1"]]


def test_a_finished_instance_stops_counting() -> None:
    assert _drawn(detail())[0] == "✅ Completed  orders  order-1  1s"


def test_of_a_thousand_steps_those_under_way_and_the_newest_are_shown_in_their_order() -> None:
    steps = [step(f"split {number}") for number in range(1000)]
    steps[3] = step("split 3", status="running", ended_at=None)
    steps[7] = step("split 7", status="errored", error={"name": "E", "message": "m"})

    shown, hidden = choose(steps, 5)

    assert [found.name for found in shown] == ["split 3", "split 7", "split 997", "split 998", "split 999"]
    assert hidden == 995
    assert len(_drawn(detail(steps=steps), room=5)) == 7


def test_a_narrow_screen_cuts_lines_and_never_wraps_them() -> None:
    long = step("n" * 200, status="errored", error={"name": "E", "message": "m" * 500})

    assert len(_drawn(detail(steps=[long]), width=40)) == 2


@pytest.mark.parametrize("width", [60, 80])
def test_icon_and_time_stay_whole_where_names_and_errors_are_cut(width: int) -> None:
    error = {"name": "ConnectionError", "message": "The bank does not answer. " * 3}
    long = step("check the inventory of the warehouse in Rotterdam", attempts=3, status="retrying", error=error)

    line = _drawn(detail(steps=[long]), width=width)[1]

    assert line.startswith("🔁  check the")
    assert " 500ms attempt 3" in " ".join(line.split())
    assert line.endswith("…")


def test_a_deadline_that_has_passed_is_now() -> None:
    assert remark(step(status="waiting", kind="sleep", due_at=T0), T0 + 1) == "wakes now"


_WATCH = """
from orchestrator.cli import root
from tests.cli.stub import StubClient, detail, step
client = StubClient()
client.made = [detail(status="running", steps=[step(status="running", ended_at=None)]), detail(output={"done": 1})]
root.main(["trigger", "orders", "--watch"], obj=lambda: client)
"""


@pytest.mark.process
def test_on_a_terminal_the_picture_moves_and_the_output_follows_it() -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [PYTHON, "-c", _WATCH], stdout=theirs, stderr=theirs, env=environment(TERM="xterm-256color", COLUMNS="80")
    )
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 65536):
            seen += chunk
    except OSError:
        pass  # How Linux says that the other side of a terminal is closed.
    finally:
        os.close(ours)

    assert process.wait(timeout=30) == 0
    shown = seen.decode()
    assert "\x1b[?25l" in shown
    assert shown.rindex("\x1b[?25h") < shown.rindex('"done": 1')
    assert "✅ Completed" in shown
    assert "charge-1" in shown
