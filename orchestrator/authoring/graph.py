"""The shape of a workflow, read from the syntax of its `run`: steps, branches, loops, what is parallel; it runs nothing.

It shows what is written, so steps that are named or chosen at run time appear as the expression that names them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

Node = dict[str, Any]
Function = ast.FunctionDef | ast.AsyncFunctionDef

FORMAT = 1
MAX_TEXT = 200
MAX_DEPTH = 20
_STEPS = {
    "do": "step_do",
    "sleep": "step_sleep",
    "sleep_until": "step_sleep_until",
    "wait_for_event": "step_wait_for_event",
}
_SECOND = {"step_sleep": "duration", "step_sleep_until": "timestamp", "step_wait_for_event": "event_type"}
_PARALLEL = {"gather": "all", "TaskGroup": "all", "wait": "all", "race": "race", "as_completed": "any"}


def graph_of(tree: ast.ClassDef) -> Node:
    """The graph of a workflow's class, as JSON can hold it."""
    methods = {node.name: node for node in tree.body if isinstance(node, Function)}
    reader = _Reader(methods)
    nodes: list[Node] = [{"type": "start"}]
    run = methods.get("run")
    if run is not None:
        nodes += reader.function(run)
    functions = {name: {"nodes": found} for name, found in reader.functions.items() if found}
    workflow = {"class_name": tree.name, "functions": functions, "nodes": nodes}
    _number(nodes, iter(range(1_000_000)))
    return {"version": FORMAT, "workflow": workflow}


class _Reader:
    def __init__(self, methods: dict[str, Function]) -> None:
        self._methods = methods
        self._bodies: dict[str, Node] = {}
        """Functions that `@step.do` made steps of, by name: a call of one is that step."""
        self._step = "step"
        self._depth = 0
        self.functions: dict[str, list[Node]] = {}

    def function(self, function: Function) -> list[Node]:
        names = [argument.arg for argument in function.args.args]
        outer, self._step = self._step, "step" if "step" in names or len(names) < 3 else names[2]
        try:
            return self.block(function.body)
        finally:
            self._step = outer

    def block(self, statements: Iterable[ast.stmt]) -> list[Node]:
        return [node for statement in statements for node in self.statement(statement)]

    def statement(self, statement: ast.stmt) -> list[Node]:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return self._definition(statement)
            case ast.If():
                return self._if(statement)
            case ast.For() | ast.AsyncFor():
                head = f"for {_text(statement.target)} in {_text(statement.iter)}"
                return [*self.expression(statement.iter), *self._loop(head, statement)]
            case ast.While():
                return [*self.expression(statement.test), *self._loop(f"while {_text(statement.test)}", statement)]
            case ast.Try():
                return self._try(statement)
            case ast.Match():
                return self._match(statement)
            case ast.With() | ast.AsyncWith():
                return self._with(statement)
            case ast.Return():
                found = [] if statement.value is None else self.expression(statement.value)
                return [*found, {"type": "break", "kind": "return"}]
            case ast.Break():
                return [{"type": "break", "kind": "break"}]
            case ast.Raise():
                return [{"type": "break", "kind": "raise"}]
        return [node for child in ast.iter_child_nodes(statement) for node in self.expression(child)]

    def expression(self, expression: ast.AST) -> list[Node]:
        """The nodes of an expression, in the order in which it is evaluated."""
        if isinstance(expression, ast.Call):
            return self._call(expression)
        if isinstance(expression, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
            head = " ".join(f"for {_text(part.target)} in {_text(part.iter)}" for part in expression.generators)
            inner = self.expression(expression.elt)
            return [{"type": "loop", "condition": head, "nodes": inner}] if inner else []
        if isinstance(expression, (ast.Lambda, ast.FunctionDef, ast.AsyncFunctionDef)):
            return []
        return [node for child in ast.iter_child_nodes(expression) for node in self.expression(child)]

    # --- statements

    def _definition(self, function: Function) -> list[Node]:
        for decorator in function.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            if self._is_step(call.func if call else decorator) == "step_do":
                name = _text(call.args[0]) if call and call.args else function.name
                self._bodies[function.name] = {"type": "step_do", "name": name, **_options(call)}
                return []
        inner = self.function(function)
        return [{"type": "function_def", "name": function.name, "nodes": inner}] if _has_steps(inner) else []

    def _if(self, statement: ast.If) -> list[Node]:
        before = self.expression(statement.test)
        branches: list[Node] = [{"condition": _text(statement.test), "nodes": self.block(statement.body)}]
        rest = statement.orelse
        while len(rest) == 1 and isinstance(rest[0], ast.If):
            before += self.expression(rest[0].test)
            branches.append({"condition": _text(rest[0].test), "nodes": self.block(rest[0].body)})
            rest = rest[0].orelse
        if rest:
            branches.append({"condition": None, "nodes": self.block(rest)})
        return [*before, {"type": "if", "branches": branches}] if any(b["nodes"] for b in branches) else before

    def _loop(self, head: str, statement: ast.For | ast.AsyncFor | ast.While) -> list[Node]:
        inner, after = self.block(statement.body), self.block(statement.orelse)
        return ([{"type": "loop", "condition": head, "nodes": inner}] if inner else []) + after

    def _try(self, statement: ast.Try) -> list[Node]:
        tried, last = self.block(statement.body), self.block(statement.finalbody)
        caught = [
            {"condition": None if handler.type is None else _text(handler.type), "nodes": self.block(handler.body)}
            for handler in statement.handlers
        ]
        after = self.block(statement.orelse)
        if not (tried or last or any(branch["nodes"] for branch in caught)):
            return after
        return [{"type": "try", "try": tried, "catch": caught, "finally": last}, *after]

    def _match(self, statement: ast.Match) -> list[Node]:
        before = self.expression(statement.subject)
        cases = [
            {"condition": ast.unparse(case.pattern)[:MAX_TEXT], "nodes": self.block(case.body)}
            for case in statement.cases
        ]
        if not any(case["nodes"] for case in cases):
            return before
        return [*before, {"type": "switch", "discriminant": _text(statement.subject), "cases": cases}]

    def _with(self, statement: ast.With | ast.AsyncWith) -> list[Node]:
        inner = self.block(statement.body)
        for item in statement.items:
            if isinstance(item.context_expr, ast.Call) and _last(item.context_expr.func) == "TaskGroup":
                return [{"type": "parallel", "kind": "all", "nodes": inner}] if inner else []
        return inner

    # --- calls

    def _call(self, call: ast.Call) -> list[Node]:
        kind = self._is_step(call.func)
        if kind is not None:
            return [self._step_node(kind, call)]
        inner = [node for part in (*call.args, *(k.value for k in call.keywords)) for node in self.expression(part)]
        if _last(call.func) in _PARALLEL and inner:
            settled = any(k.arg == "return_exceptions" for k in call.keywords)
            how = "all_settled" if settled else _PARALLEL[_last(call.func)]
            first = any(k.arg == "return_when" and "FIRST" in _text(k.value) for k in call.keywords)
            return [{"type": "parallel", "kind": "race" if first else how, "nodes": inner}]
        if isinstance(call.func, ast.Name) and call.func.id in self._bodies:
            return [*inner, dict(self._bodies[call.func.id])]
        if (
            isinstance(call.func, ast.Attribute)
            and _text(call.func.value) == "self"
            and call.func.attr in self._methods
        ):
            return [*inner, *self._own(call.func.attr)]
        return [*self.expression(call.func), *inner]

    def _own(self, name: str) -> list[Node]:
        """A method of the class: its nodes stand once, under `functions`."""
        if name not in self.functions and self._depth < MAX_DEPTH:
            self.functions[name] = []  # a method that calls itself finds this
            self._depth += 1
            self.functions[name] = self.function(self._methods[name])
            self._depth -= 1
        return [{"type": "function_call", "name": name}] if _has_steps(self.functions.get(name, [])) else []

    def _step_node(self, kind: str, call: ast.Call) -> Node:
        given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        name = call.args[0] if call.args else given.get("name")
        node: Node = {"type": kind, "name": "" if name is None else _text(name)}
        if kind in _SECOND:
            second = call.args[1] if len(call.args) > 1 else given.get(_SECOND[kind])
            node[_SECOND[kind]] = None if second is None else _text(second)
        if "timeout" in given and kind == "step_wait_for_event":
            node["timeout"] = _text(given["timeout"])
        return node | (_options(call) if kind == "step_do" else {})

    def _is_step(self, function: ast.AST) -> str | None:
        if (
            isinstance(function, ast.Attribute)
            and isinstance(function.value, ast.Name)
            and function.value.id == self._step
        ):
            return _STEPS.get(function.attr)
        return None


def _options(call: ast.Call | None) -> Node:
    if call is None:
        return {"config": {}}
    config = {
        k.arg: _text(k.value) for k in call.keywords if k.arg in ("retries", "timeout", "config", "queue", "concurrent")
    }
    if len(call.args) > 1 and isinstance(call.args[1], ast.Dict):
        config["config"] = _text(call.args[1])
    return {"config": config} | ({"rollback": True} if any(k.arg == "rollback" for k in call.keywords) else {})


def _text(node: ast.AST) -> str:
    """A constant as it is, everything else as it is written."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value[:MAX_TEXT]
    return ast.unparse(node)[:MAX_TEXT]


def _last(function: ast.AST) -> str:
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def _has_steps(nodes: list[Node]) -> bool:
    return any(node["type"] not in ("break", "start") for node in nodes)


def _number(nodes: list[Node], numbers: Any) -> None:
    """`starts` and `resolves`: in which order they are begun and awaited, where that can be told from the text."""
    for node in nodes:
        node["starts"] = node["resolves"] = next(numbers)
        branches = [*node.get("branches", ()), *node.get("cases", ()), *node.get("catch", ())]
        for inner in (
            node.get("nodes"),
            node.get("try"),
            *(branch["nodes"] for branch in branches),
            node.get("finally"),
        ):
            if inner:
                _number(inner, numbers)
                node["resolves"] = max(node["resolves"], inner[-1]["resolves"])
