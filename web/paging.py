"""Where the next page of a list of instances starts; the one place that knows what a cursor is."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.inspection import InstanceView

MAX_CURSOR = 2**62
"""Larger numbers do not fit the databases' integers."""


def next_cursor(views: Sequence[InstanceView], limit: int) -> int | None:
    """What goes into `before` for the page after these; None where no more can follow."""
    return views[-1].cursor if len(views) == limit else None
