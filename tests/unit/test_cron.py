"""The moments a cron expression means, also on the days on which the clock is changed, and what is no expression."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from orchestrator import Schedule
from orchestrator.authoring.schedules import declared
from orchestrator.cron import check_cron, check_timezone, last_tick, next_tick, next_ticks
from orchestrator.errors import InvalidSchedule
from orchestrator.names import schedule_of, scheduled_id


def ms(text: str) -> int:
    """`2027-03-28 01:00` in UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def utc(ticks: list[int]) -> list[str]:
    return [f"{datetime.fromtimestamp(tick / 1000, UTC):%m-%d %H:%M}" for tick in ticks]


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("* * * * *", ["01-15 08:01", "01-15 08:02", "01-15 08:03"]),
        ("*/20 * * * *", ["01-15 08:20", "01-15 08:40", "01-15 09:00"]),
        ("30 7 * * MON-FRI", ["01-18 07:30", "01-19 07:30", "01-20 07:30"]),
        ("0 0 1 * *", ["02-01 00:00", "03-01 00:00", "04-01 00:00"]),
        ("0 12 L * *", ["01-31 12:00", "02-28 12:00", "03-31 12:00"]),
        ("0 0 * * 5#1", ["02-05 00:00", "03-05 00:00", "04-02 00:00"]),
        ("0 0 29 2 *", ["02-29 00:00", "02-29 00:00", "02-29 00:00"]),
    ],
)
def test_the_next_moments(cron: str, expected: list[str]) -> None:
    assert utc(next_ticks(cron, "UTC", ms("2027-01-15 08:00"), 3)) == expected


def test_a_moment_is_after_the_one_it_is_asked_for() -> None:
    at = ms("2027-01-15 08:00")
    assert next_tick("0 8 * * *", "UTC", at - 1) == at
    assert next_tick("0 8 * * *", "UTC", at) == at + 86_400_000


def test_a_time_zone_keeps_its_hour_when_the_clock_is_changed() -> None:
    ticks = next_ticks("30 7 * * *", "Europe/Berlin", ms("2027-03-26 12:00"), 3)
    assert utc(ticks) == ["03-27 06:30", "03-28 05:30", "03-29 05:30"]
    ticks = next_ticks("30 7 * * *", "America/New_York", ms("2027-11-05 13:00"), 3)
    assert utc(ticks) == ["11-06 11:30", "11-07 12:30", "11-08 12:30"]


def test_an_hour_that_is_left_out_is_made_up_for_right_after_it() -> None:
    ticks = next_ticks("30 2 * * *", "Europe/Berlin", ms("2027-03-27 12:00"), 2)
    assert utc(ticks) == ["03-28 01:00", "03-29 00:30"]  # 03:00 there, as there is no 02:30; then 02:30 again


def test_an_hour_that_comes_twice_counts_once() -> None:
    ticks = next_ticks("30 2 * * *", "Europe/Berlin", ms("2027-10-30 12:00"), 2)
    assert utc(ticks) == ["10-31 00:30", "11-01 01:30"]


@pytest.mark.parametrize("asked_at", ["00:29", "00:30", "00:45", "01:15", "01:29", "01:30", "01:45"])
def test_nothing_in_the_past_is_next_within_an_hour_that_comes_twice(asked_at: str) -> None:
    after = ms(f"2027-10-31 {asked_at}")
    (tick,) = next_ticks("30 2 * * *", "Europe/Berlin", after, 1)
    assert utc([tick]) == ["10-31 00:30" if asked_at == "00:29" else "11-01 01:30"]


def test_what_runs_all_day_long_runs_through_both_changes_of_the_clock() -> None:
    spring = next_ticks("*/30 * * * *", "Europe/Berlin", ms("2027-03-28 00:00"), 4)
    autumn = next_ticks("*/30 * * * *", "Europe/Berlin", ms("2027-10-31 00:00"), 4)
    for ticks in (spring, autumn):
        assert [later - earlier for earlier, later in pairwise(ticks)] == [1_800_000] * 3


@pytest.mark.parametrize(
    ("cron", "since", "until", "expected"),
    [
        ("* * * * *", "2027-01-01 00:00", "2027-01-15 08:00", ["01-15 08:00"]),
        ("0 3 * * *", "2027-01-01 00:00", "2027-01-15 02:59", ["01-14 03:00"]),
        ("0 3 1 * *", "2026-06-01 00:00", "2027-01-15 02:59", ["01-01 03:00"]),
        ("0 3 1 2 *", "2023-06-01 00:00", "2027-01-15 02:59", ["02-01 03:00"]),
        ("0 3 1 2 *", "2026-02-02 00:00", "2027-01-15 02:59", []),
        ("0 3 * * *", "2027-01-15 03:00", "2027-01-15 03:00", ["01-15 03:00"]),
        ("0 3 * * *", "2027-01-15 03:01", "2027-01-15 04:00", []),
    ],
)
def test_the_last_moment_of_a_time_span(cron: str, since: str, until: str, expected: list[str]) -> None:
    found = last_tick(cron, "UTC", since_ms=ms(since), until_ms=ms(until))
    assert utc([] if found is None else [found]) == expected


@pytest.mark.parametrize(
    "cron",
    ["", "* * * *", "* * * * * *", "@daily", "61 * * * *", "* 24 * * *", "0 0 30 2 *", "0 0 31 4,6 *", "a b c d e",
     "*/0 * * * *", "5-1 * * * *", "* * * * 1#6", "* * * * 1#1/2", "٣ * * * *", 7, None, "*" * 300,
     ",".join(map(str, range(60))) * 3 + " * * * *"],
)  # fmt: skip
def test_what_is_no_cron_expression_is_refused_with_an_example(cron: Any) -> None:
    with pytest.raises(InvalidSchedule, match=r"30 7 \* \* MON-FRI"):
        Schedule(cron)


@pytest.mark.parametrize(
    "zone", ["", "Berlin", "Europe/Nowhere", "../etc/passwd", "/etc/passwd", None, "UTC+1", "Europe"]
)
def test_what_is_no_time_zone_is_refused(zone: Any) -> None:
    with pytest.raises(InvalidSchedule, match="Europe/Berlin"):
        check_timezone(zone)


def test_spaces_make_no_difference() -> None:
    assert check_cron("  0\t7  * * * ") == "0 7 * * *"


def test_schedules_are_one_or_several() -> None:
    assert declared("0 7 * * *", "schedules") == [Schedule("0 7 * * *")]
    assert declared([Schedule("0 7 * * *", "Europe/Berlin"), "0 7 * * *"], "schedules")[0].timezone == "Europe/Berlin"
    assert declared((), "schedules") == []


@pytest.mark.parametrize(
    "given", [["0 7 * * *", "0  7 * * *"], [f"{n % 60} {n // 60} * * *" for n in range(101)], 7, [7]]
)
def test_schedules_that_are_doubled_or_too_many_are_refused(given: Any) -> None:
    with pytest.raises(InvalidSchedule):
        declared(given, "schedules of workflow 'x'")


@pytest.mark.parametrize(
    ("zone", "id"),
    [
        ("UTC", "*/5 * * * *-1800000000000"),
        ("Europe/Berlin", "*/5 * * * * Europe/Berlin-1800000000000"),
        ("Etc/GMT+5", "*/5 * * * * Etc/GMT_5-1800000000000"),
    ],
)
@pytest.mark.cloudflare(33)
def test_the_id_of_a_scheduled_instance_says_which_schedule_and_when(zone: str, id: str) -> None:
    assert scheduled_id("*/5 * * * *", zone, 1_800_000_000_000) == id
    assert schedule_of(id) == ("*/5 * * * *", 1_800_000_000_000)


@pytest.mark.parametrize("id", ["order-1", "0b3f8c9e-7a55-4ad1-9d13-1f6b2c3d4e5f", "", "a b c d e-x"])
def test_other_ids_say_nothing_of_a_schedule(id: str) -> None:
    assert schedule_of(id) is None
