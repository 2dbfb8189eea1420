"""The words and times on the pages, without Flask."""

from __future__ import annotations

import pytest

from orchestrator.statuses import InstanceStatus
from tests.web.stub import T0, detail, step
from web.dashboard import presenters
from web.dashboard.wording import STATUSES


def test_every_status_has_a_word() -> None:
    assert STATUSES.keys() == {str(status) for status in InstanceStatus}


@pytest.mark.parametrize(
    ("distance_ms", "expected"),
    [
        (0, "just now"),
        (999, "just now"),
        (-999, "just now"),
        (1000, "1s ago"),
        (1999, "1s ago"),
        (90_000, "1m ago"),
        (-2 * 86_400_000 - 5, "in 2d"),
    ],
)
def test_times_are_told_by_their_largest_unit(distance_ms: int, expected: str) -> None:
    assert presenters.relative(T0, T0 + distance_ms) == expected


def test_a_moment_has_its_exact_time_beside_the_relative_one() -> None:
    moment = presenters.moment(T0, T0 + 5000)
    assert moment == presenters.Moment("2025-11-22T06:31:02.123+00:00", "2025-11-22 06:31:02 UTC", "5s ago")
    assert presenters.moment(None, T0) is None


@pytest.mark.parametrize(
    ("started", "ended", "expected"),
    [(None, None, "—"), (T0, T0 + 250, "250ms"), (T0, None, "1m 30s"), (T0 + 1, T0, "<1ms")],
)
def test_how_long_something_took(started: int | None, ended: int | None, expected: str) -> None:
    assert presenters.took(started, ended, T0 + 90_000) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"status": "complete", "started_at": T0, "ended_at": T0 + 2000}, "Completed after 2s."),
        ({"status": "terminated", "ended_at": T0 + 2000}, "Terminated after 2s."),
        ({"status": "waiting", "waiting_for": "nap-1 to end"}, "Waiting for nap-1 to end."),
        ({"status": "complete", "ended_at": T0, "waiting_for": "stale"}, "Completed after <1ms."),
        ({"status": "running", "started_at": T0}, "Running for 10s."),
        ({"status": "queued"}, "Waits for a worker to take it."),
    ],
)
def test_the_headline_is_the_state_and_its_reason(values: dict[str, object], expected: str) -> None:
    assert presenters.headline(detail(allowed_actions=[], **values), T0 + 10_000) == expected


def test_every_status_has_a_headline() -> None:
    for status in InstanceStatus:
        row = detail(status=str(status), ended_at=T0)
        assert presenters.headline(row, T0).endswith(".")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"name": "ValueError", "message": "no"}, "ValueError: no"),
        ({"name": "ValueError", "message": ""}, "ValueError"),
        (None, ""),
    ],
)
def test_an_error_is_one_line(error: dict[str, str] | None, expected: str) -> None:
    assert presenters.error_line(error) == expected


def test_only_an_event_that_is_waited_for_now_is_filled_in() -> None:
    done = step("a", kind="waitForEvent", status="complete", config={"type": "old"})
    now = step("b", kind="waitForEvent", status="waiting", config={"type": "new"})
    assert presenters.awaited_event([done, now]) == "new"
    assert presenters.awaited_event([done]) == ""


def test_a_workflow_is_summed_up_by_its_own_docstring_only() -> None:
    class Base:
        """About the base."""

    class Told(Base):
        """
        Ships an order.

        And more.
        """

    class Untold(Base):
        pass

    registry = {"told": Told, "untold": Untold}
    assert presenters.summary(registry, "told") == "Ships an order."
    assert presenters.summary(registry, "untold") == ""
    assert presenters.summary(registry, "unknown") == ""
    assert presenters.summary(None, "told") == ""
