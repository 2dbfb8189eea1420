"""What several instances write by the same statement at once comes to the same as where each writes alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import greenlet
import pytest
from sqlalchemy import Connection

from orchestrator.store import driver, instances, last_steps, steps, timers
from orchestrator.store.database import Database
from orchestrator.store.together import Asked, SharedDatabase, answer
from tests.engine.clock import FakeClock
from tests.store.conftest import Store
from tests.store.test_journal import line
from tests.store.test_waits import timer

Write = Callable[[Connection, int, int], Any]
STATES = ["as it was claimed", "claimed by another", "let go", "with news", "to be undone"] * 2


def a_step(connection: Connection, pk: int, fence: int) -> Any:
    return steps.insert_fenced(connection, fence, [line(pk, "step")])


def a_fired_timer(connection: Connection, pk: int, fence: int) -> Any:
    return steps.fire(connection, fence, 0, ["sleep"], [line(pk, "sleep")])


def two_fired_timers(connection: Connection, pk: int, fence: int) -> Any:
    return steps.fire(connection, fence, 0, ["sleep", "other"], [line(pk, "sleep"), line(pk, "other")])


def the_end(connection: Connection, pk: int, fence: int) -> Any:
    return last_steps.end_with(
        connection, fence=fence, wanted=0, row=line(pk, "last"), output=f'"of {pk}"', now=fence, keep_ms=pk, version="v"
    )


NEW = {
    "workflow": "orders", "queue": "default", "params": "{}", "trigger": "api", "ring_at": None,
    "success_retention_ms": None, "error_retention_ms": None,
}  # fmt: skip
WRITES = {a_step: "step", a_fired_timer: "sleep", two_fired_timers: "sleep", the_end: "last"}
"""Each with a key that it adds to the journal."""


def prepared(store: Store, states: Sequence[str]) -> list[tuple[int, int]]:
    """Instances with two timers each, claimed once and then brought to these states: their keys and first fences."""
    found = []
    for state in states:
        pk, fence = store.claimed()
        rows = [timer(pk, key, 2, event_type=None) for key in ("sleep", "other")]
        store(timers.insert, rows)
        if state in ("claimed by another", "let go"):
            store(instances.give_back, id=pk, fence=fence, status="running", ring_at=None)
        if state == "claimed by another":
            store(instances.claim, id=pk, worker="w2", now=store.now)
        elif state == "with news":
            store(instances.want, pk, ring_at=1)
        elif state == "to be undone":
            store(instances.request_rollback, pk, rollback="{}", ring_at=1, now=store.now)
        found.append((pk, fence))
    return found


def together(store: Store, write: Write, claims: Sequence[tuple[int, int]]) -> list[Any]:
    """What each is told of its write, as one of several on one thread."""

    def one(pk: int, fence: int) -> Any:
        try:
            return shared.statement(lambda connection: write(connection, pk, fence))
        except Exception as error:
            return type(error)

    def park(asked: Asked) -> Any:
        return greenlet.getcurrent().parent.switch(asked)

    shared = SharedDatabase(store.database, park)
    members = [greenlet.greenlet(one) for _ in claims]
    asked = [member.switch(*claim) for member, claim in zip(members, claims, strict=True)]
    answers = answer(store.database, asked)
    return [
        member.throw(told) if isinstance(told, Exception) else member.switch(told)
        for member, told in zip(members, answers, strict=True)
    ]


def after(store: Store, pks: Sequence[int]) -> list[Any]:
    """What stands in the tables of these instances, apart from their keys and the order of what they wrote."""
    found: list[Any] = []
    for pk in pks:
        row = store.row(pk)._mapping
        shown = {
            name: value for name, value in row.items() if name not in ("id", "instance_id", "output", "expires_at")
        }
        own = (row["output"] == f'"of {pk}"', row["expires_at"] == (row["ended_at"] or 0) + pk)
        found.append([shown, own])
        for query in (
            "SELECT run, key, position, result, attempts, worker FROM @steps WHERE instance_id = :pk ORDER BY seq",
            "SELECT key FROM @timers WHERE instance_id = :pk ORDER BY key",
            "SELECT run, workflow, status, started_at, ended_at FROM @ended WHERE instance = :pk",
        ):
            found[-1].append([tuple(one) for one in store.rows(query, pk=pk)])
    return found


@pytest.mark.parametrize("write", WRITES)
def test_together_each_writes_what_it_would_alone(store: Store, write: Write) -> None:
    apart, joined = prepared(store, STATES), prepared(store, STATES)

    alone = [store.database.statement(lambda c: write(c, pk, fence)) for pk, fence in apart]  # noqa: B023
    told = together(store, write, joined)

    def without_seq(answer: Any) -> Any:
        return answer and (*answer[:2], answer[2] is not None, *answer[3:])

    assert [without_seq(one) for one in told] == [without_seq(one) for one in alone]
    assert after(store, [pk for pk, _ in joined]) == after(store, [pk for pk, _ in apart])
    last = {
        row.instance_id: row.seq for row in store.rows("SELECT instance_id, max(seq) AS seq FROM @steps GROUP BY 1")
    }
    assert [None if one is None else one[2] for one in told] == [last.get(pk) for pk, _ in joined]


@pytest.mark.parametrize("write", WRITES)
def test_one_that_is_refused_keeps_nobody_from_writing(store: Store, write: Write) -> None:
    claims = prepared(store, ["as it was claimed"] * 4)
    pk, _ = claims[1]
    store(steps.insert, [line(pk, WRITES[write])])

    told = together(store, write, claims)

    assert [isinstance(one, type) and issubclass(one, Exception) for one in told] == [False, True, False, False]
    written = [len(store.rows("SELECT * FROM @steps WHERE instance_id = :pk", pk=pk)) for pk, _ in claims]
    assert all(written)
    assert written[1] == 1


def test_what_is_alike_goes_with_what_is_not(store: Store) -> None:
    claims = prepared(store, STATES[:1] * 7)
    writes = [a_step, the_end, a_step, two_fired_timers, a_step, a_fired_timer, the_end]

    def write(connection: Connection, pk: int, fence: int) -> Any:
        return writes[[pk for pk, _ in claims].index(pk)](connection, pk, fence)

    told = together(store, write, claims)

    assert [len(one) for one in told] == [3, 4, 3, 3, 3, 3, 4]
    keys = [store.rows("SELECT key FROM @steps WHERE instance_id = :pk ORDER BY seq", pk=pk)[0].key for pk, _ in claims]
    assert keys == [WRITES[write] for write in writes]


@pytest.fixture
def on_postgres(postgres_url: str) -> Iterator[Store]:
    with closing(Database(postgres_url, clock=FakeClock())) as database:
        yield Store(database)


@pytest.mark.parametrize("write", [a_step, a_fired_timer, the_end])
def test_it_is_one_statement_for_all(on_postgres: Store, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = prepared(on_postgres, STATES[:1] * 5)
    sent: list[str] = []
    real = driver.execute

    def execute(connection: Connection, sql: str, values: Any, *, keep: bool = False) -> Any:
        sent.append(sql)
        return real(connection, sql, values, keep=keep)

    monkeypatch.setattr(driver, "execute", execute)
    assert all(together(on_postgres, write, claims))
    assert len(sent) == 1


def nodes_of(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes of a plan, each before those below it."""
    found = [plan]
    for node in found:
        found += node.get("Plans", [])
    return found


@pytest.mark.parametrize("write", [a_step, a_fired_timer, the_end])
def test_no_row_is_held_against_every_value_where_nothing_was_held_when_the_planner_last_counted(
    on_postgres: Store, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by a benchmark: with as many instances as these, whose statistics were taken at night, a third of a second."""
    store = on_postgres
    for number in range(5):
        rows = [
            {"instance_id": f"{number}/{one}", **NEW, "params": " " * 1000, "now": store.now} for one in range(1000)
        ]
        keys = store(instances.insert_many, rows).values()
        store(steps.insert, [line(pk, f"before {n}") for pk in keys for n in range(4)])
    store.database.statement(lambda connection: driver.execute(connection, "ANALYZE", ()))
    ids = [row.id for row in store.rows("SELECT id FROM @instances ORDER BY id LIMIT 500")]
    claims = store(instances.claim_all, ids=ids, worker="w", now=store.now, limited=[])
    plans = []
    real = driver.execute

    def execute(connection: Connection, sql: str, values: Any, *, keep: bool = False) -> Any:
        (((plan,),),) = real(connection, f"EXPLAIN (FORMAT JSON) {sql}", values).all()
        plans.append(nodes_of(plan["Plan"]))
        return real(connection, sql, values, keep=keep)

    monkeypatch.setattr(driver, "execute", execute)
    together(store, write, [(claim.id, claim.fence) for claim in claims])

    (nodes,) = plans
    joined = [node for node in nodes if node["Node Type"] == "Nested Loop"]
    below = [
        child.get("Relation Name") for node in joined for child in node["Plans"] if child["Node Type"] == "Seq Scan"
    ]
    assert "orchestrator_instances" not in below, nodes
