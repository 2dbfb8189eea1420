"""The journal: written under a fence, in the order of commits, one answer for one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from orchestrator.store import attempts, instances, missed, steps, timers
from orchestrator.store.database import Database
from tests.store.conftest import Store


def line(pk: int, key: str, position: int = 1, **values: Any) -> dict[str, Any]:
    row = {"instance_id": pk, "run": 1, "key": key, "position": position, "result": "1", "error": None, "config": None}
    return {**row, "attempts": 1, "started_at": 1, "ended_at": 2, "worker": "w1", **values}


@pytest.mark.parametrize("count", [1, 3])
def test_a_holder_adds_to_the_journal_and_hears_what_is_new(store: Store, count: int) -> None:
    pk, fence = store.claimed()
    store(instances.want, pk, ring_at=0)
    added = store(steps.insert_fenced, fence, [line(pk, f"do:{n}:1", n) for n in range(count)])
    written = store(steps.journal, pk, 1)
    assert added == (1, "running", written[-1].seq)
    assert [(row.key, row.position) for row in written] == [(f"do:{n}:1", n) for n in range(count)]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("moved", [instances.terminate, instances.delete, "released"])
def test_under_a_moved_fence_nothing_is_added(store: Store, count: int, moved: Any) -> None:
    pk, fence = store.claimed()
    if moved == "released":
        store(instances.release, id=pk, fence=fence, wanted=0, status="waiting", now=1)
    else:
        store(moved, pk, **({"now": 1, "keep_ms": 1} if moved is instances.terminate else {}))
    assert store(steps.insert_fenced, fence, [line(pk, f"do:{n}:1", n) for n in range(count)]) is None
    assert store.rows("SELECT * FROM @steps") == []


def test_what_was_written_comes_back_as_it_was(store: Store) -> None:
    pk, fence = store.claimed()
    result, error = '{"n": [1, "ä€😀", "\\u0000"]}', '{"name": "E\'\\"; --"}'
    store(steps.insert_fenced, fence, [line(pk, "a", result=result), line(pk, "b", 2, result=None, error=error)])
    first, second = store(steps.journal, pk, 1)
    assert (first.result, first.error, first.ended_at) == (result, None, 2)
    assert (second.result, second.error) == (None, error)


def test_one_step_has_one_answer(store: Store) -> None:
    pk, fence = store.claimed()
    store(steps.insert_fenced, fence, [line(pk, "a", result="1")])
    with pytest.raises(Exception, match=r"(?i)unique"):
        store(steps.insert_fenced, fence, [line(pk, "b", 2), line(pk, "a", result="2")])
    assert [(row.key, row.result) for row in store(steps.journal, pk, 1)] == [("a", "1")]
    with pytest.raises(DBAPIError):
        store(steps.insert, [line(pk, "a")])
    store(steps.insert, [line(pk, "a", run=2)])


def test_the_journal_is_read_in_the_order_of_commits_from_where_one_stopped(store: Store) -> None:
    pk, fence = store.claimed()
    other, other_fence = store.claimed()
    for n in range(3):
        store(steps.insert_fenced, fence, [line(pk, f"x{n}", 9 - n)])
        store(steps.insert_fenced, other_fence, [line(other, f"y{n}", n)])
    everything = store(steps.journal, pk, 1)
    assert [row.key for row in everything] == ["x0", "x1", "x2"]
    assert sorted(row.seq for row in everything) == [row.seq for row in everything]
    assert [row.key for row in store(steps.journal, pk, 1, everything[0].seq)] == ["x1", "x2"]
    assert store(steps.journal, pk, 2) == []


def test_order_holds_when_holder_and_others_write_at_the_same_time(
    store: Store, at_once: Callable[..., list[Any]]
) -> None:
    """Whoever reads up to a number has seen everything up to it: no smaller number turns up later."""
    pk, fence = store.claimed()
    seen: list[int] = []
    late: list[int] = []

    def others(connection: Any, key: str) -> None:
        instances.lock(connection, pk)
        steps.insert(connection, [line(pk, key)])

    def work(number: int) -> None:
        for n in range(15):
            if number == 0:
                store(steps.insert_fenced, fence, [line(pk, f"own {n}")])
            elif number < 3:
                store(others, f"other {number} {n}")
            else:
                found = [row.seq for row in store(steps.journal, pk, 1)]
                late.extend(seq for seq in found if seen and seq not in seen and seq < max(seen))
                seen[:] = found

    at_once(4, work)
    assert late == []
    assert len(store(steps.journal, pk, 1)) == 45


def test_a_step_is_durable_for_every_other_process_once_its_insert_returned(store: Store, database_url: str) -> None:
    pk, fence = store.claimed()
    added = store.database.statement(lambda c: steps.insert_fenced(c, fence, [line(pk, "a")]))
    assert added is not None
    another = Database(database_url)
    with another.read() as connection:
        assert [row.key for row in steps.journal(connection, pk, 1)] == ["a"]
    another.close()


def test_a_holder_reads_the_journal_and_hears_whether_it_still_is_one(store: Store) -> None:
    pk, fence = store.claimed()

    def journal(after: int) -> Any:
        found = store(missed.read, fence=fence, id=pk, run=1, after=after)
        return found and found.journal

    assert journal(0) == []
    store(steps.insert_fenced, fence, [line(pk, "a"), line(pk, "b", 2)])
    first, second = journal(0)
    assert (first.key, second.key) == ("a", "b")
    assert [row.key for row in journal(first.seq)] == ["b"]
    assert journal(second.seq) == []
    store(instances.terminate, pk, now=1, keep_ms=1)
    assert journal(0) is None


def test_many_are_read_as_one_is(store: Store) -> None:
    claims = [store.claimed() for _ in range(3)]
    for pk, fence in claims:
        store(steps.insert_fenced, fence, [line(pk, "a"), line(pk, "b", 2)])
    (first, _), (second, _), (third, _) = claims
    timer = {"key": "t", "kind": "sleep", "position": 3, "queue": "default", "started_at": 1, "due_at": 2, "ring_at": 2}
    store(timers.insert, [{**timer, "instance_id": second}])
    attempt = dict.fromkeys(("worker", "config", "deadline_at", "ended_at", "ring_at", "error"))
    attempt |= {
        "run": 1,
        "key": "c",
        "position": 4,
        "attempt": 1,
        "state": "ready",
        "queue": "default",
        "started_at": 1,
    }
    store(attempts.insert, [{**attempt, "instance_id": third, "run": run} for run in (1, 2)])

    def read(pk: int, fence: int, after: int) -> list[Any]:
        found = store(missed.read, id=pk, fence=fence, run=1, after=after)
        return [found.after, *([row[-3:] for row in rows] for rows in found[1:])]

    seen = store(missed.read, id=first, fence=claims[0][1], run=1, after=0).journal[0].seq
    asked = [(pk, fence, seen if pk == first else 0) for pk, fence in claims]
    found = store(missed.read_all, asked)
    assert {pk: [m.after, *([row[-3:] for row in rows] for rows in m[1:])] for pk, m in found.items()} == {
        pk: read(pk, fence, after) for pk, fence, after in asked
    }
    assert [len(found[first].journal), len(found[second].timers), len(found[third].attempts)] == [1, 1, 1]
    assert store(missed.read_all, [(first, claims[0][1] + 1, 0), (second, claims[1][1], 0)]).keys() == {second}
