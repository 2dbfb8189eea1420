"""What several ask of PostgreSQL at the same moment by the same statement, as one statement for all; it spells none itself.

A statement that locks a row and adds another costs PostgreSQL most where it begins and ends, not where it does that: 1.15
times as many steps a second of 200 instances x 10 in one process, medians of five turns each on two busy cores.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from orchestrator.store.driver import Answer, execute_together

AT_LEAST = 3
"""Fewer are asked for one by one: the lists cost more than that."""

Asking = tuple[str, Mapping[str, Any] | Sequence[Any]]
"""A statement in the spelling of the driver, and its values."""


@dataclass(frozen=True, slots=True)
class _Each:
    sql: str
    names: Sequence[str]


_offered: dict[str, _Each] = {}


def offer(one: str, each: str, names: Sequence[str] = ()) -> None:
    """Say that `each` does for many what `one` does for one instance: both are spelled for PostgreSQL.

    The values of `each` are lists, one for each value of `one`, in their order or in that of `names`. Its rows begin with
    the place (from 1) of whom they are for, who gets at most one, without the place. Those who ask are of different
    instances, and it locks these in the order of their keys, as everybody does who locks several.
    """
    _offered[one] = _Each(each, names)


def given(types: Mapping[str, str]) -> str:
    """The beginning of such a statement: the values as a table `asked`, of the columns `g_…` by these names, and `n`."""
    lists = ", ".join(f"%s::{type_}[]" for type_ in types.values())
    columns = ", ".join(f"g_{name}" for name in types)
    return f"""
    WITH asked AS MATERIALIZED (
        SELECT * FROM unnest({lists}) WITH ORDINALITY AS asked ({columns}, n)),"""


def execute_all(connection: Connection, asking: Sequence[Asking]) -> list[Answer]:
    """The answers to statements that may be executed in any order, in one round trip.

    Raises DBAPIError for the first that was refused; then nothing was done.
    """
    places: dict[str, list[int]] = {}
    for place, (sql, _) in enumerate(asking):
        places.setdefault(sql, []).append(place)
    several = {sql: found for sql, found in places.items() if sql in _offered and len(found) >= AT_LEAST}
    alone = [place for place, (sql, _) in enumerate(asking) if sql not in several]
    statements: list[Asking] = [asking[place] for place in alone]
    statements += [(_offered[sql].sql, _lists(sql, asking, found)) for sql, found in several.items()]
    answers = execute_together(connection, statements)
    told: list[Answer] = [Answer([], 0)] * len(asking)
    for place, answer in zip(alone, answers[: len(alone)], strict=True):
        told[place] = answer
    for found, answer in zip(several.values(), answers[len(alone) :], strict=True):
        for place, *row in answer.rows:
            told[found[place - 1]] = Answer([tuple(row)], 1)  # type: ignore[list-item]
    return told


def _lists(sql: str, asking: Sequence[Asking], places: Sequence[int]) -> list[list[Any]]:
    names = _offered[sql].names
    rows: Iterable[Any] = (asking[place][1] for place in places)
    if names:
        rows = map(operator.itemgetter(*names), rows)
    return [list(column) for column in zip(*rows, strict=True)]
