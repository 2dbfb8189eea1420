"""Durations: every spelling that is read, to the millisecond, and everything that is refused, with what would be right."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.durations import MAX_MS, UNITS_MS, in_words, to_ms
from orchestrator.errors import InvalidDuration

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("given", "ms"),
    [
        # numbers are milliseconds
        (0, 0),
        (1, 1),
        (1500, 1500),
        (2.4, 2),
        (2.6, 3),
        # one unit, singular and plural
        ("1 millisecond", 1),
        ("250 milliseconds", 250),
        ("250 ms", 250),
        ("250ms", 250),
        ("1 second", SECOND),
        ("30 seconds", 30 * SECOND),
        ("30 sec", 30 * SECOND),
        ("30 secs", 30 * SECOND),
        ("30s", 30 * SECOND),
        ("1 minute", MINUTE),
        ("5 minutes", 5 * MINUTE),
        ("5 min", 5 * MINUTE),
        ("5 mins", 5 * MINUTE),
        ("5m", 5 * MINUTE),
        ("1 hour", HOUR),
        ("24 hours", 24 * HOUR),
        ("24h", 24 * HOUR),
        ("1 day", DAY),
        ("3 days", 3 * DAY),
        ("3d", 3 * DAY),
        ("1 week", 7 * DAY),
        ("2 weeks", 14 * DAY),
        ("2w", 14 * DAY),
        ("1 month", 30 * DAY),
        ("2 months", 60 * DAY),
        ("1 year", 31_557_600_000),
        ("2 years", 2 * 31_557_600_000),
        # amounts
        ("0 seconds", 0),
        ("1.5 hours", 90 * MINUTE),
        ("0.0004 seconds", 0),
        ("+5 minutes", 5 * MINUTE),
        # several units
        ("1 hour 30 minutes", 90 * MINUTE),
        ("1 hour, 30 minutes", 90 * MINUTE),
        ("1h30m", 90 * MINUTE),
        ("1d 2h 3m 4s 5ms", DAY + 2 * HOUR + 3 * MINUTE + 4 * SECOND + 5),
        # white space and case
        ("  10   seconds  ", 10 * SECOND),
        ("10 SECONDS", 10 * SECOND),
        # timedelta
        (timedelta(0), 0),
        (timedelta(days=1, hours=2, minutes=30), DAY + 2 * HOUR + 30 * MINUTE),
        (timedelta(microseconds=1600), 2),
        # the longest
        ("10000 years", MAX_MS),
    ],
)
def test_a_duration_is_read_to_the_millisecond(given: Any, ms: int) -> None:
    found = to_ms(given)

    assert found == ms
    assert type(found) is int


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("5 apples", "unknown unit 'apples'"),
        ("5 mo", "unknown unit 'mo'"),
        ("5 minutess", "unknown unit 'minutess'"),
        ("1 hour 5 apples", "unknown unit 'apples'"),
        ("i like trains", "can't read 'i like trains'"),
        ("minutes", "can't read 'minutes'"),
        ("five minutes", "can't read 'five minutes'"),
        ("5", "can't read '5'"),
        ("5 minutes later", "can't read 'later'"),
        ("1 hour and 5 minutes", "can't read 'and 5 minutes'"),
        ("1,5 hours", "can't read '1,5 hours'"),
        ("1e3 seconds", "unknown unit 'e'"),
        ("nan seconds", "can't read 'nan seconds'"),
        ("inf days", "can't read 'inf days'"),
        ("", "it is empty"),
        ("   ", "it is empty"),
        (-1, "it must be finite and not negative"),
        ("-5 minutes", "it must be finite and not negative"),
        (timedelta(seconds=-1), "it must be finite and not negative"),
        (math.nan, "it must be finite and not negative"),
        (math.inf, "it must be finite and not negative"),
        (-math.inf, "it must be finite and not negative"),
        (MAX_MS + 1, "it is longer than 10,000 years"),
        ("10001 years", "it is longer than 10,000 years"),
        (True, "a truth value is no duration"),
        (None, "NoneType is no duration"),
        ([5], "list is no duration"),
        (b"5 minutes", "bytes is no duration"),
    ],
)
def test_what_is_no_duration_is_refused_and_told_why(given: Any, reason: str) -> None:
    with pytest.raises(InvalidDuration) as caught:
        to_ms(given, what="timeout")

    message = str(caught.value)
    assert message.startswith(f"Invalid timeout {given!r}: {reason}.")
    assert '"5 minutes"' in message
    assert "millisecond, second, minute, hour, day, week, month, year" in message


def test_every_unit_is_known_in_singular_and_plural() -> None:
    for unit, ms in UNITS_MS.items():
        assert to_ms(f"1 {unit}") == ms
        assert unit == "m" or to_ms(f"2 {unit}s") == 2 * ms  # "2 ms" are milliseconds


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (0, "0ms"),
        (999, "999ms"),
        (1_000, "1s"),
        (1_234, "1.2s"),
        (59_999, "59s"),
        (90_000, "1m 30s"),
        (HOUR, "1h"),
        (DAY + 2 * HOUR + 30 * MINUTE, "1d 2h"),
        (400 * DAY, "400d"),
    ],
)
def test_people_are_told_the_two_largest_units(ms: int, words: str) -> None:
    assert in_words(ms) == words
