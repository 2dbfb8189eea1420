"""Marks the code of an instance while it runs, so that a call on a handle can tell that it comes from within."""

from __future__ import annotations

from contextvars import ContextVar

_here: ContextVar[tuple[object, int] | None] = ContextVar("orchestrator_instance", default=None)

enter = _here.set
leave = _here.reset


def is_inside(database: object, pk: int) -> bool:
    """Whether the caller is a step body or the `run` of that instance of the database of that address."""
    return _here.get() == (database, pk)
