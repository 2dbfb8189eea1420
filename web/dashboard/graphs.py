"""A workflow's graph as nested lists of words, for a template to draw; it knows shapes, not workflows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_WORDS = {
    "start": "start",
    "step_do": "step",
    "step_sleep": "sleep",
    "step_sleep_until": "sleep until",
    "step_wait_for_event": "wait for event",
    "parallel": "at once",
    "function_call": "call",
    "function_def": "function",
    "loop": "loop",
    "break": "leave",
}
_DETAILS = ("duration", "timestamp", "event_type", "condition", "discriminant", "kind")
_LEFT_OUT = ("start",)

Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A step, or something that holds steps."""

    word: str
    """What it is: step, sleep, if."""
    name: str = ""
    details: str = ""
    undone: bool = False
    """It has a rollback handler."""
    below: list[Entry] = field(default_factory=list)


def entries(graph: Node | None) -> list[Entry]:
    """The steps in the order in which they are written, and the functions that they call after them."""
    workflow = (graph or {}).get("workflow") or {}
    functions = (workflow.get("functions") or {}).items()
    return [
        *_entries(workflow.get("nodes") or ()),
        *(Entry("function", str(name), below=_entries(of.get("nodes") or ())) for name, of in functions),
    ]


def _entries(nodes: Sequence[Node]) -> list[Entry]:
    return [_entry(node) for node in nodes if node.get("type") not in _LEFT_OUT]


def _entry(node: Node) -> Entry:
    kind = str(node.get("type"))
    return Entry(
        word=_WORDS.get(kind, kind),
        name=str(node.get("name") or ""),
        details=", ".join(str(node[name]) for name in _DETAILS if node.get(name) is not None),
        undone=bool(node.get("rollback")),
        below=list(_below(node)),
    )


def _below(node: Node) -> Iterator[Entry]:
    yield from _entries(node.get("nodes") or ())
    for branch in [*(node.get("branches") or ()), *(node.get("cases") or ())]:
        condition = branch.get("condition")
        word = "when" if condition else "else"
        yield Entry(word, details=str(condition or ""), below=_entries(branch.get("nodes") or ()))
    # What is tried stands first, and without a word of its own: it is what happens if nothing goes wrong.
    yield from _entries(node.get("try") or ())
    for clause in node.get("catch") or ():
        yield Entry("except", details=str(clause.get("condition") or ""), below=_entries(clause.get("nodes") or ()))
    if node.get("finally"):
        yield Entry("finally", below=_entries(node["finally"]))
