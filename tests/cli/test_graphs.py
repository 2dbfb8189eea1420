"""A workflow's graph as a tree and as Mermaid."""

from __future__ import annotations

from orchestrator.cli.graphs import mermaid, tree

GRAPH = {
    "version": 1,
    "workflow": {
        "class_name": "Orders",
        "functions": {"pay": {"nodes": [{"type": "step_do", "name": "charge"}]}},
        "nodes": [
            {"type": "start"},
            {"type": "step_do", "name": 'check "stock"', "rollback": {}},
            {"type": "parallel", "kind": "all", "nodes": [{"type": "step_do", "name": "a"}, {"type": "step_do", "name": "b"}]},
            {"type": "if", "branches": [
                {"condition": "paid", "nodes": [{"type": "step_sleep", "name": "cool", "duration": "1 day"}]},
                {"condition": None, "nodes": [{"type": "break", "kind": "return"}]},
            ]},
            {"type": "loop", "condition": "more", "nodes": [{"type": "function_call", "name": "pay"}]},
            {"type": "try", "try": [{"type": "step_wait_for_event", "name": "ok", "event_type": "approval"}],
             "catch": [{"condition": "TimeoutError", "nodes": []}], "finally": []},
        ],
    },
}  # fmt: skip


def test_a_tree_shows_what_is_inside_what() -> None:
    assert list(tree(GRAPH)) == [
        "Orders",
        "├─ ● start",
        '├─ 🎯 check "stock"',
        "├─ ⇉ parallel all",
        "│  ├─ 🎯 a",
        "│  └─ 🎯 b",
        "├─ ? if",
        "│  ├─ paid",
        "│  │  └─ 💤 sleep cool 1 day",
        "│  └─ else",
        "│     └─ ⏹ break return",
        "├─ ↻ loop more",
        "│  └─ ƒ call pay",
        "└─ ⚠ try",
        "   ├─ try",
        "   │  └─ 👀 wait for event ok approval",
        "   └─ except TimeoutError",
        "ƒ pay",
        "└─ 🎯 charge",
    ]


def test_mermaid_joins_what_was_chosen_between_and_escapes_names() -> None:
    drawn = list(mermaid(GRAPH))

    assert drawn[0] == "flowchart TD"
    assert '    n2["🎯 check #quot;stock#quot;"]' in drawn
    assert {"    n3 --> n4", "    n3 --> n5", "    n4 --> n6", "    n5 --> n6"} <= set(drawn)
    assert '    n6 -->|"paid"| n7' in drawn
    assert "    n10 -.-> n9" in drawn


def test_an_empty_graph_is_drawn_too() -> None:
    assert list(tree({})) == ["run"]
    assert list(mermaid({})) == ["flowchart TD"]
