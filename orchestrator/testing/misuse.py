"""What goes wrong with a test rather than with the workflow it tests; it must not hide the workflow's own errors."""

from __future__ import annotations

from orchestrator.errors import UsageError

BY = "[WorkflowIntrospector]"
"""Begins what Cloudflare's introspection says in the same words."""


class IntrospectionError(UsageError):
    """The test asks for what can't be, or for what will never come."""

    code = "testing.introspection"


class UnusedModifierWarning(UserWarning):
    """A modifier names a step or an event that the instance never came to: perhaps it is spelled otherwise."""
