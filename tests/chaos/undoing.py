"""What must and what may be undone when a program fails or is terminated, held against the journal; it only reads."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from orchestrator.names import split_key
from tests.chaos.programs import Op, Program

Steps = Counter[str]
"""How often each operation is carried out, by its name. What does not stand in a loop is carried out once at most."""


@dataclass
class Undone:
    """Of the steps with a handler."""

    must: Steps = field(default_factory=Counter)
    """Those that have begun for sure when the program ends."""
    may: Steps = field(default_factory=Counter)
    """Those that may have begun."""
    raises: bool = False


def model(op: Op) -> Undone:
    kind = op["op"]
    if kind == "sequence":
        return _in_turn(op["of"])
    if kind == "loop":
        return _in_turn([op["of"]] * op["times"])
    if kind == "all":
        return _side_by_side([model(child) for child in op["of"]])
    if kind == "careful":
        inner = model(op["of"])
        return Undone(inner.must, inner.may)
    if kind == "race":
        return model(op["winner"])
    named = Counter([op["name"]] if op.get("undo") else [])
    return Undone(named, named, raises=kind == "fail")


def _in_turn(ops: list[Op]) -> Undone:
    whole = Undone()
    for op in ops:
        inner = model(op)
        whole = Undone(whole.must + inner.must, whole.may + inner.may, inner.raises)
        if inner.raises:
            break
    return whole


def _side_by_side(children: list[Undone]) -> Undone:
    """The first that fails ends it, and how far the others have come by then nobody knows."""
    raising = [child for child in children if child.raises]
    certain = children if not raising else raising if len(raising) == 1 else []
    must, may = Steps(), Steps()
    for child in certain:
        must += child.must
    for child in children:
        may += child.may
    return Undone(must, may, raises=bool(raising))


def refusing(op: Op) -> set[str]:
    """The names of the operations whose handler fails for good."""
    return {each["name"] for each in _all(op) if each.get("undo") and each["undo"]["refuses"]}


def with_handler(op: Op) -> set[str]:
    return {each["name"] for each in _all(op) if each.get("undo")}


def _all(op: Op) -> Iterator[Op]:
    yield op
    inner = [op[place] for place in ("of", "winner", "loser") if place in op]
    for child in [each for one in inner for each in (one if isinstance(one, list) else [one])]:
        yield from _all(child)


def wrongly_undone(connection: Connection, pk: int, program: Program) -> list[str]:
    """What the rollback of an ended instance has done that it must not, or left undone."""
    row = connection.execute(_INSTANCE, {"id": pk}).one()
    plan = None if row.rollback is None else json.loads(row.rollback)
    journal = [step._mapping for step in connection.execute(_JOURNAL, {"id": pk, "run": row.run})]
    handlers = [step for step in journal if step["key"].startswith("rollback:")]
    if row.status == "complete" or plan is None or plan["outcome"] is None:
        found = [f"{step['key']} was undone, and nothing was to be" for step in handlers]
        if row.status == "errored" and model(program.op).must:
            found.append(f"nothing was undone of {dict(model(program.op).must)}")
        return found
    found = [f"the rollback came to {plan['outcome']}"] if plan["outcome"] not in ("complete", "failed") else []
    found += _wrong_order(journal) + _wrong_end(row.status, plan, handlers, refusing(program.op))
    return found + _wrong_steps(row.status, plan, journal, program)


def _wrong_order(journal: list[Any]) -> list[str]:
    """The last call is undone first. Of steps that never came to an end the journal does not know when they were called."""
    called = {split_key(step["key"])[1:]: step["position"] for step in journal if step["key"].startswith("do:")}
    undone = [split_key(step["key"])[1:] for step in journal if step["key"].startswith("rollback:")]
    positions = [called[which] for which in undone if which in called]
    return [] if positions == sorted(positions, reverse=True) else [f"undone in the order {undone}, called {positions}"]


def _wrong_end(status: str, plan: Any, handlers: list[Any], refuse: set[str]) -> list[str]:
    failed = [step for step in handlers if step["error"] is not None]
    found = [f"{step['key']} failed with {step['error']}" for step in failed if split_key(step["key"])[1] not in refuse]
    if failed and (len(failed) > 1 or failed[0] is not handlers[-1]):
        found.append(f"handlers went on after {failed[0]['key']} had failed")
    given_up = status == "terminated" and plan["outcome"] == "failed" and plan["failure"]["name"] == "Terminated"
    if bool(failed) != (plan["outcome"] == "failed") and not given_up:
        found.append(f"the rollback came to {plan['outcome']} of {plan['failure']}, and {len(failed)} handlers failed")
    return found


def _wrong_steps(status: str, plan: Any, journal: list[Any], program: Program) -> list[str]:
    undone, done, named = Steps(), Steps(), with_handler(program.op)
    for step in journal:
        kind, name, _ = split_key(step["key"])
        if kind == "rollback":
            undone[name] += 1
        elif kind == "do" and name in named:
            done[name] += 1
    predicted = model(program.op)
    found = []
    if too_many := undone - predicted.may:
        found.append(f"undone without having been asked for: {dict(too_many)}")
    if plan["outcome"] == "complete":
        must = done | (predicted.must if status == "errored" else Steps())
        if left := must - undone:
            found.append(f"not undone: {dict(left)}")
    return found


_INSTANCE = text("SELECT status, run, rollback FROM orchestrator_instances WHERE id = :id")
_JOURNAL = text("""
    SELECT key, position, error FROM orchestrator_steps WHERE instance_id = :id AND run = :run ORDER BY seq
""")
