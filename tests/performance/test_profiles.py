"""Whose the time in a profile is, and what can't be profiled is refused before anything is started."""

from __future__ import annotations

import pytest

from benchmarks import parts, profiles


@pytest.mark.parametrize(
    ("stack", "part"),
    [
        (
            "thread (7): x;advance (orchestrator/engine/activation.py:9);insert_fenced (orchestrator/store/steps.py:3);"
            "execute (psycopg/cursor.py:97)",
            "the driver of the database",
        ),
        (
            "run (orchestrator/engine/convoy.py:1);insert_fenced (orchestrator/store/steps.py:3)",
            "statements and transactions",
        ),
        ("run (orchestrator/engine/convoy.py:1);answer (orchestrator/store/together.py:3)", "going on in step"),
        ("deliver (orchestrator/replay/run.py:1);dumps (json/encoder.py:3)", "JSON"),
        ("deliver (orchestrator/replay/run.py:1);wait (threading.py:3)", "the workflow's function, and replaying it"),
        ("drive (orchestrator/engine/body_loop.py:1)", "bodies and their loop"),
        ("advance (orchestrator/engine/activation.py:9);acquire (kombu/pools.py:2)", "messages"),
        ("wait (threading.py:3)", "other"),
    ],
)
def test_a_sample_belongs_to_the_innermost_that_is_known(stack: str, part: str) -> None:
    assert parts.part_of(stack) == part


def test_shares_count_samples_and_not_stacks() -> None:
    lines = ["a (kombu/pools.py:2) 3", "b (kombu/pools.py:9);c (heapq.py:1) 3", "d (json/encoder.py:3) 2"]
    assert parts.shares(lines) == {"messages": 75.0, "JSON": 25.0}


def test_a_profile_without_samples_is_told_from_one_of_nothing() -> None:
    with pytest.raises(ValueError, match="no samples"):
        parts.shares([])


@pytest.mark.parametrize(
    ("name", "command", "role"),
    [
        ("postgres", ["postgres: orchestrator bench 127.0.0.1(4) idle"], "database"),
        ("valkey-server", ["valkey-server 127.0.0.1:6"], "broker"),
        ("python3.11", ["python", "-m", "orchestrator", "worker", "--app", "benchmarks.ours_app"], "workers"),
        ("python3.11", ["python", "-IS", "service_process.py"], "other"),
    ],
)
def test_processor_time_is_that_of_who_used_it(name: str, command: list[str], role: str) -> None:
    assert parts.role_of(name, command) == role


def test_what_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["profiles", "seq-oracle"])
    with pytest.raises(SystemExit) as ended:
        profiles.main()
    assert ended.value.code == 2
    assert "there is no 'seq-oracle'; there are seq-sqlite" in capsys.readouterr().err
