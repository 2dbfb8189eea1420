"""What can be known of a step's callable before it runs: its colour, whether it wants `ctx`, and its result's type."""

from __future__ import annotations

import contextlib
import inspect
import logging
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from orchestrator.authoring.streams import is_stream_type
from orchestrator.serialization import adapter_for

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Signature:
    is_async: bool
    wants_ctx: bool
    parameters: tuple[str, ...]
    """All parameters but `ctx`, in order; `*args` and `**kwargs` are not among them."""
    adapter: TypeAdapter[Any] | None
    """Reads and writes the result; None where it passes as plain JSON."""
    streams: bool = False
    """The annotation says that the result is a stream of bytes."""
    before_ctx: int = 0
    """How many parameters come before `ctx`."""

    def around_ctx(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """`ctx` is given by name, so positional arguments that belong after it must be too."""
        before = self.before_ctx
        if not self.wants_ctx or not before < len(args) <= len(self.parameters):
            return args, kwargs
        after = dict(zip(self.parameters[before:], args[before:], strict=False))
        return args[:before], {**after, **kwargs}


_WORD = re.compile(r"\w+")
_CACHE_SIZE = 4096
_signatures: dict[tuple[Any, ...], tuple[Any, Signature]] = {}
"""With the code each is of, by whose address it is found: its hash would be computed anew from all of it every time."""


def signature_of(fn: Callable[..., Any]) -> Signature:
    """Examined once per code object: a closure made anew in each lifetime of a workflow costs one look-up."""
    code = getattr(fn, "__code__", None)
    if code is None:
        return _examine(fn)
    if hasattr(fn, "__wrapped__"):
        return _examine(fn)  # every function that one decorator has wrapped runs the same code
    annotation = getattr(fn, "__annotations__", {}).get("return")
    # Another closure of the same code may mean another type by the same name.
    meant = tuple(_closed_over(fn, annotation).values()) if isinstance(annotation, str) else ()
    key = (id(code), type(fn), annotation, meant)
    try:
        return _signatures[key][1]
    except KeyError:
        pass
    except TypeError:  # an unhashable annotation
        return _examine(fn)
    if len(_signatures) >= _CACHE_SIZE:
        _signatures.clear()
    found = _examine(fn)
    _signatures[key] = code, found
    return found


def _closed_over(fn: Callable[..., Any], annotation: str) -> dict[str, Any]:
    """What names in an annotation mean to this closure. A name that is given its value later means nothing yet."""
    cells = getattr(fn, "__closure__", None)
    if not cells:
        return {}
    words, found = _WORD.findall(annotation), {}
    for name, cell in zip(fn.__code__.co_freevars, cells, strict=True):
        if name in words:
            with contextlib.suppress(ValueError):
                found[name] = cell.cell_contents
    return found


def _examine(fn: Callable[..., Any]) -> Signature:
    call = fn if inspect.isroutine(fn) or not hasattr(fn, "__call__") else fn.__call__  # noqa: B004
    is_async = any(
        is_of(it) for it in (fn, call) for is_of in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    )
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (ValueError, TypeError):  # builtins without a signature
        return Signature(is_async, False, (), None)
    named = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    returns = return_type(fn)
    streams = is_stream_type(returns)
    return Signature(
        is_async=is_async,
        wants_ctx="ctx" in named,
        parameters=tuple(name for name in named if name != "ctx"),
        adapter=None if streams else adapter_for(returns),
        streams=streams,
        before_ctx=named.index("ctx") if "ctx" in named else 0,
    )


def return_type(fn: Callable[..., Any]) -> Any:
    """The return annotation, resolved also against the variables the function closes over; Any where there is none."""
    annotation = getattr(fn, "__annotations__", {}).get("return", Any)
    if not isinstance(annotation, str):
        return annotation
    inner = inspect.unwrap(fn)
    only_return = SimpleNamespace(__annotations__={"return": annotation})
    known, closure = getattr(inner, "__globals__", {}), _closed_over(inner, annotation)
    try:
        return get_type_hints(only_return, known, closure, include_extras=True)["return"]
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        log.warning(
            "the return type %r of %s can't be resolved (%s), so its result passes as plain JSON; "
            "define the type at module level or drop `from __future__ import annotations`",
            annotation,
            getattr(fn, "__qualname__", fn),
            error,
        )
        return Any


def type_parameter(cls: type, base: type) -> Any:
    """`Order` of `class Orders(WorkflowEntrypoint[Order])`; Any where the base has no parameter."""
    for ancestor in cls.__mro__:
        for generic in getattr(ancestor, "__orig_bases__", ()):
            if getattr(generic, "__origin__", None) is base:
                (argument,) = generic.__args__
                return _resolved(argument, sys.modules.get(ancestor.__module__))
    return Any


def _resolved(argument: Any, module: Any) -> Any:
    name = getattr(argument, "__forward_arg__", argument)
    if isinstance(name, str):
        return getattr(module, name, Any)
    return Any if type(argument).__name__ == "TypeVar" else argument
