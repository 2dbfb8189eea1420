"""One spelling of a statement for both databases; what differs between them is said here and nowhere else."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql

from orchestrator.store.driver import Answer, execute, execute_many, execute_together

_DIFFERENCES: Mapping[str, Mapping[str, str]] = {
    # SQLite has one writer at a time, so a transaction that writes needs no row locks.
    "{lock}": {"postgresql": "FOR NO KEY UPDATE", "sqlite": ""},
    "{skip_locked}": {"postgresql": "FOR NO KEY UPDATE SKIP LOCKED", "sqlite": ""},
    "{share}": {"postgresql": "FOR SHARE", "sqlite": ""},
    "{take_attempts}": {"postgresql": "FOR NO KEY UPDATE OF a SKIP LOCKED", "sqlite": ""},
    # What is taken with a LIMIT and a lock stands in such a part of its own: a subselect of an UPDATE may run more than
    # once, for other rows each time (see tests/store/test_limits.py).
    "{materialized}": {"postgresql": "MATERIALIZED", "sqlite": ""},
    "{json_rows}": {
        "postgresql": "json_array_elements(CAST(:rows AS json)) AS r(value)",
        "sqlite": "json_each(:rows) AS r",
    },
    "{join_names}": {"postgresql": "string_agg(name, ',')", "sqlite": "group_concat(name, ',')"},
    "{join_step_limits}": {
        "postgresql": "string_agg(name || '=' || step_limit, ',')",
        "sqlite": "group_concat(name || '=' || step_limit, ',')",
    },
    "{row}": {"postgresql": "ctid", "sqlite": "rowid"},
    "{greatest}": {"postgresql": "greatest", "sqlite": "max"},
    "{least}": {"postgresql": "least", "sqlite": "min"},
}


IS_HELD = "coalesce(i.holder, '') <> ''"
"""As `i.holder IS NOT NULL`, in a way that says nothing to PostgreSQL's planner: where nobody held anything when it last
counted, it would expect one row of that, go through the whole table for it and hold each row it finds against each value: a
third of a second for 500 of each. For the same reason what parts of a statement return is grouped and not joined."""


_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]
_PARAMETER = re.compile(r"(?<![:\w]):(\w+)(?!:)")


class Statement:
    """A constant statement. `expanding` names parameters that are lists, for `IN :name`."""

    def __init__(self, template: str, *expanding: str) -> None:
        self._expanding = expanding
        self._spelled: dict[str, str] = {}
        for dialect, adapt in (("postgresql", _for_psycopg), ("sqlite", _for_sqlite3)):
            spelled = template.replace("@", "orchestrator_")
            for mark, spellings in _DIFFERENCES.items():
                spelled = spelled.replace(mark, spellings[dialect])
            self._spelled[dialect] = adapt(spelled, expanding)

    def __call__(
        self, connection: Connection, parameters: dict[str, Any] | list[dict[str, Any]] | None = None, /, **named: Any
    ) -> Answer:
        if isinstance(parameters, list):
            return execute_many(connection, self._spelled[connection.dialect.name], parameters)
        return execute(connection, *self.spelled(connection.dialect.name, named if parameters is None else parameters))

    def text(self, dialect: str) -> str:
        """As the driver spells it."""
        return self._spelled[dialect]

    def spelled(self, dialect: str, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """What the driver is given."""
        if self._expanding and dialect == "sqlite":
            values = {**values, **{name: json.dumps(values[name]) for name in self._expanding}}
        return self._spelled[dialect], values


class Insert(Statement):
    """Adds any number of rows to a table, in one statement, if a condition is true."""

    def __init__(self, table: Table, *columns: str, where: str = "true") -> None:
        self._columns = columns
        super().__init__(insertion(table, columns, where))

    def values(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Of rows by the names of their columns; what a row does not give is NULL."""
        return {"rows": json.dumps([[row.get(column) for column in self._columns] for row in rows])}


def insertion(table: Table, columns: Sequence[str], where: str) -> str:
    """Adds rows of `:rows`, in JSON a list of lists of their values: those of which a condition on `value` is true."""
    kinds = [table.c[column].type.compile(dialect=_POSTGRESQL) for column in columns]
    values = ", ".join(f"CAST(value ->> {place} AS {kind})" for place, kind in enumerate(kinds))
    return f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {values} FROM {{json_rows}} WHERE {where}"


def together(connection: Connection, *asked: tuple[Statement, dict[str, Any]]) -> list[Answer]:
    """Execute statements one after another, on PostgreSQL in one round trip. Each sees what is committed when it starts,
    as always, so the first may lock what the others read; that lock ends with the transaction, or here if there is none.
    Whoever shares its round trips with others (store.together) asks for each alone, and locks nothing.
    """
    spelled = [statement.spelled(connection.dialect.name, values) for statement, values in asked]
    if connection.dialect.name != "postgresql" or hasattr(connection, "execute_later"):
        return [execute(connection, sql, values) for sql, values in spelled]
    return execute_together(connection, spelled)


def _for_psycopg(spelled: str, expanding: Sequence[str]) -> str:
    spelled = spelled.replace("%", "%%")
    for name in expanding:
        spelled = spelled.replace(f"IN :{name}", f"= ANY(:{name})")
    return _PARAMETER.sub(r"%(\1)s", spelled)


def _for_sqlite3(spelled: str, expanding: Sequence[str]) -> str:
    for name in expanding:
        spelled = spelled.replace(f"IN :{name}", f"IN (SELECT value FROM json_each(:{name}))")
    return spelled
