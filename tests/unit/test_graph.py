"""The graph shows what is written in `run`: steps, branches, loops and what is parallel, in their order."""

from __future__ import annotations

import ast
import json
import textwrap
from typing import Any

from orchestrator.authoring.graph import graph_of


def nodes(body: str, methods: str = "") -> list[Any]:
    """Short: `("step_do", "charge")`, with the inner ones after it."""
    return [short(node) for node in graph(body, methods)["workflow"]["nodes"][1:]]


def graph(body: str, methods: str = "") -> dict[str, Any]:
    code = "class Orders(WorkflowEntrypoint):\n    async def run(self, event, step):\n"
    code += textwrap.indent(textwrap.dedent(body).strip("\n"), " " * 8) + "\n"
    code += textwrap.indent(textwrap.dedent(methods).strip("\n"), " " * 4)
    tree = ast.parse(code).body[0]
    assert isinstance(tree, ast.ClassDef)
    found = graph_of(tree)
    json.dumps(found)
    return found


def short(node: dict[str, Any]) -> Any:
    inner = [short(child) for child in node.get("nodes", [])]
    for branch in node.get("branches", []) + node.get("cases", []):
        inner.append((branch["condition"], [short(child) for child in branch["nodes"]]))
    if node["type"] == "try":
        inner = [[short(child) for child in node[part]] for part in ("try", "finally")]
        inner.insert(1, [(b["condition"], [short(child) for child in b["nodes"]]) for b in node["catch"]])
    word = node.get("name", node.get("kind", node.get("condition", node.get("discriminant"))))
    return (node["type"], word, *([inner] if inner else []))


def test_it_begins_with_a_start_and_names_its_class() -> None:
    found = graph("pass")
    assert found["version"] == 1
    assert found["workflow"]["class_name"] == "Orders"
    assert [node["type"] for node in found["workflow"]["nodes"]] == ["start"]


def test_steps_sleeps_and_waits_are_shown_with_what_they_were_given() -> None:
    found = graph("""
        await step.do("charge", charge, retries={"limit": 3, "delay": 1}, timeout="2 minutes")
        await step.sleep("cool down", "3 days")
        await step.sleep_until("monday", event.payload.at)
        await step.wait_for_event("manager approves", "approval", timeout="1 day")
    """)["workflow"]["nodes"][1:]
    assert [(node["type"], node["name"]) for node in found] == [
        ("step_do", "charge"), ("step_sleep", "cool down"), ("step_sleep_until", "monday"),
        ("step_wait_for_event", "manager approves"),
    ]  # fmt: skip
    assert found[0]["config"] == {"retries": "{'limit': 3, 'delay': 1}", "timeout": "2 minutes"}
    assert found[1]["duration"] == "3 days"
    assert found[2]["timestamp"] == "event.payload.at"
    assert (found[3]["event_type"], found[3]["timeout"]) == ("approval", "1 day")


def test_a_decorated_function_is_a_step_where_it_is_called() -> None:
    assert nodes("""
        @step.do("check inventory")
        async def stock(): ...
        @step.do
        def pay(): ...
        await step.sleep("first", 1)
        await pay()
        (await stock()).raise_if_empty()
    """) == [("step_sleep", "first"), ("step_do", "pay"), ("step_do", "check inventory")]


def test_branches_loops_and_errors_are_shown_with_what_they_hold() -> None:
    assert nodes("""
        if await step.do("check", check) > 3:
            await step.do("many", f)
        elif small:
            await step.do("few", f)
        else:
            return
        for item in event.payload.items:
            await step.do(f"pack {item}", f)
        while True:
            await step.do("poll", f)
            break
        try:
            await step.do("charge", f)
        except ValueError:
            await step.do("refund", f)
        finally:
            await step.do("close", f)
        match kind:
            case "a":
                await step.do("a", f)
            case _:
                pass
        return 1
    """) == [
        ("step_do", "check"),
        ("if", None, [
            ("await step.do('check', check) > 3", [("step_do", "many")]),
            ("small", [("step_do", "few")]),
            (None, [("break", "return")]),
        ]),
        ("loop", "for item in event.payload.items", [("step_do", "f'pack {item}'")]),
        ("loop", "while True", [("step_do", "poll"), ("break", "break")]),
        ("try", None, [[("step_do", "charge")], [("ValueError", [("step_do", "refund")])], [("step_do", "close")]]),
        ("switch", "kind", [("'a'", [("step_do", "a")]), ("_", [])]),
        ("break", "return"),
    ]  # fmt: skip


def test_what_is_parallel_is_shown_as_such() -> None:
    assert nodes("""
        await asyncio.gather(step.do("a", f), step.do("b", f))
        await asyncio.gather(*(step.do(f"split {i}", f, i) for i in range(3)))
        await asyncio.gather(step.do("c", f), return_exceptions=True)
        await asyncio.wait([step.do("d", f)], return_when=asyncio.FIRST_COMPLETED)
        async with asyncio.TaskGroup() as group:
            group.create_task(step.do("e", f))
    """) == [
        ("parallel", "all", [("step_do", "a"), ("step_do", "b")]),
        ("parallel", "all", [("loop", "for i in range(3)", [("step_do", "f'split {i}'")])]),
        ("parallel", "all_settled", [("step_do", "c")]),
        ("parallel", "race", [("step_do", "d")]),
        ("parallel", "all", [("step_do", "e")]),
    ]  # fmt: skip


def test_methods_are_shown_once_where_they_are_called_also_those_that_call_themselves() -> None:
    methods = """
        async def ship(self, step):
            await step.do("ship", f)
            await self.ship(step)
        def plain(self): ...
    """
    body = "await self.ship(step)\nawait self.ship(step)\nself.plain()"
    assert nodes(body, methods) == [("function_call", "ship"), ("function_call", "ship")]
    functions = graph(body, methods)["workflow"]["functions"]
    assert [node["name"] for node in functions["ship"]["nodes"]] == ["ship"]


def test_the_order_is_counted_through_all_branches() -> None:
    found = graph('await step.do("a", f)\nfor x in y:\n    await step.do("b", f)\nawait step.do("c", f)')
    loop = found["workflow"]["nodes"][2]
    assert [node["starts"] for node in found["workflow"]["nodes"]] == [0, 1, 2, 4]
    assert loop["resolves"] == loop["nodes"][0]["starts"] == 3
