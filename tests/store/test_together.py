"""What several ask of the database at once is answered to each, and what is refused is refused to one."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from orchestrator.errors import DatabaseUnavailable
from orchestrator.store.sql import Statement
from orchestrator.store.together import Asked, SharedDatabase, answer
from tests.store.conftest import Store

ADD = Statement("""
    INSERT INTO @workflows (name, class_name, module, queue, created_at, seen_at)
    VALUES (:name, 'A', 'app', 'default', 1, 1) RETURNING name
""")
NAMES = Statement("SELECT name FROM @workflows ORDER BY name")


class _Parked(Exception):
    def __init__(self, asked: Asked) -> None:
        self.asked = asked


def _park(asked: Asked) -> Any:
    raise _Parked(asked)


def add(store: Store, name: str) -> Asked:
    """What is asked for by one that adds a row."""

    def work(connection: Connection) -> str:
        return str(ADD(connection, name=name).scalar_one())

    with pytest.raises(_Parked) as parked:
        SharedDatabase(store.database, _park).statement(work)
    return parked.value.asked


def names(store: Store) -> list[str]:
    with store.database.read() as connection:
        return [str(name) for name in NAMES(connection).scalars()]


def test_each_gets_its_own_answer(store: Store) -> None:
    found = answer(store.database, [add(store, name) for name in "abc"])
    assert [one if isinstance(one, str) else one.scalar_one() for one in found] == ["a", "b", "c"]
    assert names(store) == ["a", "b", "c"]


def test_one_that_is_refused_undoes_only_its_own(store: Store) -> None:
    answer(store.database, [add(store, "b")])
    found = answer(store.database, [add(store, name) for name in "abc"])
    assert [isinstance(one, Exception) for one in found] == [False, True, False]
    assert isinstance(found[1], DBAPIError | DatabaseUnavailable)
    assert names(store) == ["a", "b", "c"]
