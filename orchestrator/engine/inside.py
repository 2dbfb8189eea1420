"""Marks the code of an instance while it runs, so that a call on a handle can tell that it comes from within."""

from __future__ import annotations

from contextvars import ContextVar

from sqlalchemy import URL

_here: ContextVar[tuple[URL, int] | None] = ContextVar("orchestrator_instance", default=None)

enter = _here.set
leave = _here.reset


def is_inside(url: URL, pk: int) -> bool:
    """Whether the caller is a step body or the `run` of that instance of that database."""
    return _here.get() == (url, pk)
