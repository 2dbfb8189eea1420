"""Every time that RFC 3339 can write may be asked about, whether or not anything can have happened then."""

from __future__ import annotations

from datetime import datetime

import pytest

from web.times import epoch_ms, rfc3339


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-22T07:01:02.123Z", "2026-11-22T07:01:02.123Z"),
        ("2026-11-22T07:01:02+02:00", "2026-11-22T05:01:02.000Z"),
        ("2026-11-22T07:01:02", "2026-11-22T07:01:02.000Z"),
        ("0556-09-30T02:37:47.746Z", "1970-01-01T00:00:00.000Z"),
        ("0001-01-01T00:00:00+23:59", "1970-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_time_is_taken_for_the_nearest_that_there_is(written: str, meant: str) -> None:
    assert rfc3339(epoch_ms(datetime.fromisoformat(written))) == meant
