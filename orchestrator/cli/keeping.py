"""The options that say how long ended instances are kept; what they mean is known to the client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def retention_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--success-retention` and `--error-retention`."""
    for name, ended in (("error", "has errored"), ("success", "is complete or terminated")):
        function = click.option(
            f"--{name}-retention", metavar="DURATION", help=f'Keep it for so long once it {ended}: "7 days", forever.'
        )(function)
    return function


def retention(success: str | None, error: str | None) -> dict[str, Any]:
    """What was given."""
    given = {"success_retention": success, "error_retention": error}
    return {name: duration for name, duration in given.items() if duration is not None}
