"""A workflow's graph as text: a tree to read, or Mermaid to paste; it knows shapes, not workflows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.cli.wording import one_line

_ICON = {
    "start": "●",
    "step_do": "🎯",
    "step_sleep": "💤",
    "step_sleep_until": "💤",
    "step_wait_for_event": "👀",
    "if": "?",
    "switch": "?",
    "loop": "↻",
    "parallel": "⇉",
    "try": "⚠",
    "function_call": "ƒ",
    "break": "⏹",
}
_WORDS = {
    "start": "start",
    "step_sleep": "sleep",
    "step_sleep_until": "sleep until",
    "step_wait_for_event": "wait for event",
    "function_call": "call",
}
_SHOWN = 60

Node = Mapping[str, Any]
Arrow = tuple[str, str]
"""Where it comes from, and the word on it."""


def tree(graph: Node) -> Iterator[str]:
    """A line for each node, children below their parent."""
    workflow = graph.get("workflow") or {}
    yield str(workflow.get("class_name") or "run")
    yield from _below(workflow.get("nodes") or (), "")
    for name, function in (workflow.get("functions") or {}).items():
        yield f"ƒ {name}"
        yield from _below(function.get("nodes") or (), "")


def _below(nodes: Sequence[Node], indent: str) -> Iterator[str]:
    for place, node in enumerate(nodes):
        last = place == len(nodes) - 1
        yield f"{indent}{'└─' if last else '├─'} {_ICON.get(str(node.get('type')), '·')} {label(node)}"
        deeper = f"{indent}{'   ' if last else '│  '}"
        parts = list(_parts(node))
        for number, (name, children) in enumerate(parts):
            if not name:
                yield from _below(children, deeper)
                continue
            end = number == len(parts) - 1
            yield f"{deeper}{'└─' if end else '├─'} {name}"
            yield from _below(children, f"{deeper}{'   ' if end else '│  '}")


def label(node: Node) -> str:
    kind = str(node.get("type"))
    said = [_WORDS.get(kind, "" if kind == "step_do" else kind)]
    details = ("name", "duration", "timestamp", "event_type", "condition", "discriminant", "kind")
    said += [one_line(str(node[name]), _SHOWN) for name in details if node.get(name) is not None]
    if node.get("rollback"):
        said.append("(has a rollback)")
    return " ".join(part for part in said if part)


def _parts(node: Node) -> Iterator[tuple[str, Sequence[Node]]]:
    """What is inside a node: lists of nodes, each with what leads there (empty: nothing to say)."""
    if node.get("nodes"):
        yield "", node["nodes"]
    for branch in [*(node.get("branches") or ()), *(node.get("cases") or ())]:
        yield one_line(str(branch.get("condition") or "else"), _SHOWN), branch.get("nodes") or ()
    for name in ("try", "catch", "finally"):
        inside = node.get(name)
        if not inside or not isinstance(inside, list):
            continue
        if name == "catch":
            for clause in inside:
                yield (
                    f"except {one_line(str(clause.get('condition') or ''), _SHOWN)}".rstrip(),
                    clause.get("nodes") or (),
                )
        else:
            yield name, inside


def mermaid(graph: Node) -> Iterator[str]:
    """A flowchart; what runs at once, and what is chosen between, starts at one node and meets at the next."""
    yield "flowchart TD"
    numbers = itertools.count(1)
    lines: list[str] = []
    _draw((graph.get("workflow") or {}).get("nodes") or (), [], numbers, lines)
    yield from lines


def _draw(
    nodes: Sequence[Node], before: list[tuple[str, str]], numbers: Iterator[int], lines: list[str]
) -> list[tuple[str, str]]:
    """Add the nodes after those `before` (each with the word on its arrow); what the next one comes after."""
    for node in nodes:
        id = f"n{next(numbers)}"
        text = f"{_ICON.get(str(node.get('type')), '')} {label(node)}".strip().replace('"', "#quot;")
        lines.append(f'    {id}["{text}"]')
        for come_from, word in before:
            quoted = word.replace('"', "#quot;")
            lines.append(f'    {come_from} -->|"{quoted}"| {id}' if word else f"    {come_from} --> {id}")
        ends: list[Arrow] = []
        for name, children in _parts(node):
            if node.get("type") == "parallel":
                for child in children:
                    ends += _draw([child], [(id, "")], numbers, lines)
            else:
                ends += _draw(children, [(id, name)], numbers, lines)
        if node.get("type") == "loop":
            lines += [f"    {end} -.-> {id}" for end, _ in ends]
            ends = [(id, "")]
        before = ends or [(id, "")]
    return before
