"""Cron expressions and time zones: checked, and turned into the moments they mean; it starts nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from orchestrator.errors import InvalidSchedule

MAX_CRON = 256
_EXAMPLE = 'Write five fields (minute, hour, day of month, month, day of week), such as "30 7 * * MON-FRI".'
_HOUR_MS = 3_600_000
_SPANS_MS = (_HOUR_MS, 24 * _HOUR_MS, 31 * 24 * _HOUR_MS, 366 * 24 * _HOUR_MS)


def check_cron(cron: object) -> str:
    """The expression with single spaces. Raises InvalidSchedule."""
    if not isinstance(cron, str):
        raise InvalidSchedule(f"Cron expression {cron!r} is no text. {_EXAMPLE}")
    spaced = " ".join(cron.split())
    if len(spaced) > MAX_CRON:
        raise InvalidSchedule(f"Cron expression {cron!r} is longer than {MAX_CRON} characters. {_EXAMPLE}")
    fields = len(spaced.split())
    if fields != 5:
        raise InvalidSchedule(f"Cron expression {cron!r} has {fields} field(s). {_EXAMPLE}")
    try:
        next(CronSim(spaced, datetime(2024, 1, 1, tzinfo=UTC)))
    except StopIteration:
        raise InvalidSchedule(f"Cron expression {cron!r} never comes: there is no such day. {_EXAMPLE}") from None
    except (CronSimError, AssertionError, TypeError, ValueError) as error:
        reason = f" ({error})" if str(error) else ""
        raise InvalidSchedule(f"Cron expression {cron!r} can't be read{reason}. {_EXAMPLE}") from None
    return spaced


def check_timezone(name: object) -> str:
    """Raises InvalidSchedule for what is no time zone of the IANA database."""
    try:
        if isinstance(name, str):
            ZoneInfo(name)
            return name
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise InvalidSchedule(f'There is no time zone {name!r}: use a name such as "UTC" or "Europe/Berlin".')


def ticks(cron: str, timezone: str, after_ms: int) -> Iterator[int]:
    """The moments (epoch ms) after a moment, as Debian's cron has them: an expression that names an hour runs once on
    the days the clock is changed, right after the hour that is left out and the first time in the hour that comes twice.
    """
    found = CronSim(cron, datetime.fromtimestamp(after_ms // 1000, _zone(timezone)))
    last = after_ms
    for moment in found:
        tick = round(moment.timestamp() * 1000)
        if tick > last:  # one that falls into an hour that comes twice is found again from its second half
            yield tick
            last = tick


def next_tick(cron: str, timezone: str, after_ms: int) -> int | None:
    return next(ticks(cron, timezone, after_ms), None)


def next_ticks(cron: str, timezone: str, after_ms: int, count: int) -> list[int]:
    return list(islice(ticks(cron, timezone, after_ms), count))


def last_tick(cron: str, timezone: str, *, since_ms: int, until_ms: int) -> int | None:
    """The last moment from `since_ms` to `until_ms`, both included; None if there is none."""
    found: int | None = None
    for span_ms in (*_SPANS_MS, until_ms - since_ms):
        start_ms = max(until_ms - span_ms, since_ms)
        for tick in ticks(cron, timezone, start_ms - 1):
            if tick > until_ms:
                break
            found = tick
        if found is not None or start_ms == since_ms:
            break
    return found


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)
