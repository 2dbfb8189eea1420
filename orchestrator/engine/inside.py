"""Marks the code of an instance while it runs, so that a call on a handle can tell that it comes from within."""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple, Protocol


class Whose(Protocol):
    """The instance whose code runs."""

    @property
    def pk(self) -> int: ...
    @property
    def workflow(self) -> str: ...
    @property
    def instance_id(self) -> str: ...
    @property
    def created_at(self) -> int: ...


class Known(NamedTuple):
    pk: int
    workflow: str
    instance_id: str
    created_at: int


_here: ContextVar[tuple[object, Whose] | None] = ContextVar("orchestrator_instance", default=None)

enter = _here.set
leave = _here.reset


def is_inside(database: object, pk: int) -> bool:
    """Whether the caller is a step body or the `run` of that instance of the database of that address."""
    here = _here.get()
    return here is not None and here[0] == database and here[1].pk == pk


def created_at_of(workflow: str, instance_id: str) -> int | None:
    """When the instance of that name was created, if the caller is a step body or the `run` of one of that name.

    For callers that know no database: two instances of one name were not made in the same millisecond.
    """
    here = _here.get()
    if here is None or (here[1].workflow, here[1].instance_id) != (workflow, instance_id):
        return None
    return here[1].created_at
