"""What each route of the REST interface takes, answers and refuses, noted on its view; it changes nothing about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from orchestrator.errors import OrchestratorError
from web.payloads import Body

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Contract:
    answer: Any
    """The type of the JSON it answers; None for an empty body."""
    status: int
    query: type[Body] | None
    body: Any
    """A model of the fields of the body, or `Any` for a body that may be any JSON; None for no body."""
    media: tuple[str, ...]
    """Other media types that it may answer with."""
    location: bool
    refuses: tuple[type[OrchestratorError], ...]
    conditional: bool
    """Whether it answers 304 where `If-None-Match` has the ETag of what it would answer."""
    secret: bool
    """Whether what it answers must be stored nowhere."""


def takes(
    answer: Any,
    *,
    status: int = 200,
    query: type[Body] | None = None,
    body: Any = None,
    media: tuple[str, ...] = (),
    location: bool = False,
    refuses: tuple[type[OrchestratorError], ...] = (),
    conditional: bool = False,
    secret: bool = False,
) -> Callable[[View], View]:
    """Marks a view. What every route may refuse (a token, a field, a path) need not be named."""

    def mark(view: View) -> View:
        view.contract = Contract(answer, status, query, body, media, location, refuses, conditional, secret)  # type: ignore[attr-defined]
        return view

    return mark


def contract_of(view: object) -> Contract | None:
    return getattr(view, "contract", None)
