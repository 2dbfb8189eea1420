"""What ends code from outside: not Exceptions, so that `except Exception` in user code never swallows them."""

from __future__ import annotations


class Superseded(BaseException):
    """Whoever raises this no longer holds the instance: its fence has moved on. Internal; user code never sees it."""


class InstanceDeleted(BaseException):
    """A step or `run` has deleted its own instance: nothing after that runs. Internal; user code meets it in `finally`."""


class WorkflowClosed(BaseException):
    """A call on `step` after its run was put away. Internal; user code meets it only in `finally` blocks."""
