"""The code that makes up a workflow, and its fingerprint: the same however it is laid out; it opens nothing itself."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_one_at_a_time = threading.Lock()  # CPython 3.11 can't build two syntax trees at once: a SystemError
LENGTH = 16
"""Characters of a fingerprint: 64 bits tell a workflow's versions apart and still fit into a table."""


@dataclass(frozen=True, slots=True)
class Source:
    fingerprint: str
    tree: ast.ClassDef | None
    """The class; None where its source is not at hand."""


def source_of(cls: type) -> Source:
    """The class, its bases of the user's own, and what of their modules they name, directly or through one another.

    Comments, layout and docstrings do not count. What other modules define does not either: a version is the workflow,
    not everything it calls.
    """
    with _one_at_a_time:
        return _cached(cls)


@lru_cache(maxsize=512)
def _cached(cls: Any) -> Source:
    found: dict[str, str] = {}
    tree: ast.ClassDef | None = None
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] in ("orchestrator", "builtins", "typing", "abc"):
            continue
        parsed = _parsed(base)
        if base is cls and isinstance(parsed, ast.ClassDef):
            tree = parsed
        _collect(base, parsed, found)
    text = "\n".join(found[name] for name in sorted(found))
    return Source(hashlib.sha256(text.encode()).hexdigest()[:LENGTH], tree)


def _collect(thing: Any, parsed: ast.AST | None, found: dict[str, str]) -> None:
    name = f"{thing.__module__}.{thing.__qualname__}"
    if name in found:
        return
    found[name] = name + "\n" + (_bytecode(thing) if parsed is None else _normal(parsed))
    if parsed is None:
        return
    module = vars(sys.modules.get(thing.__module__, object))
    for used in _names(parsed):
        other = inspect.unwrap(module[used]) if used in module and callable(module[used]) else None
        if (inspect.isfunction(other) or inspect.isclass(other)) and other.__module__ == thing.__module__:
            _collect(other, _parsed(other), found)


def _parsed(thing: Any) -> ast.stmt | None:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):  # made by exec, in a prompt, or shipped without its source
        return None


def _names(tree: ast.AST) -> Iterator[str]:
    return (node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))


def _normal(tree: ast.AST) -> str:
    """Spelled by the parser, without docstrings; the names and values are all there."""
    return ast.unparse(_WithoutDocstrings().visit(ast.parse(ast.unparse(tree))))


class _WithoutDocstrings(ast.NodeTransformer):
    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(body, list) and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            first = body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = body[1:] or [ast.Pass()]
        return node


def _bytecode(thing: Any) -> str:
    members = vars(thing).values() if inspect.isclass(thing) else (thing,)
    codes = [member.__code__ for member in members if inspect.isfunction(member)]
    return "\n".join(f"{code.co_name} {code.co_code.hex()} {code.co_names}" for code in codes)
