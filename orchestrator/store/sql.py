"""One spelling of a statement for both databases; what differs between them is said here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, CursorResult, TextClause, bindparam, text

_DIFFERENCES: Mapping[str, Mapping[str, str]] = {
    # SQLite has one writer at a time, so a transaction that writes needs no row locks.
    "{lock}": {"postgresql": "FOR NO KEY UPDATE", "sqlite": ""},
    "{skip_locked}": {"postgresql": "FOR NO KEY UPDATE SKIP LOCKED", "sqlite": ""},
    "{share}": {"postgresql": "FOR SHARE", "sqlite": ""},
    "{take_attempts}": {"postgresql": "FOR NO KEY UPDATE OF a SKIP LOCKED", "sqlite": ""},
    "{materialized}": {"postgresql": "MATERIALIZED", "sqlite": ""},
    "{json_rows}": {
        "postgresql": "json_array_elements(CAST(:rows AS json)) AS r(value)",
        "sqlite": "json_each(:rows) AS r",
    },
    "{row}": {"postgresql": "ctid", "sqlite": "rowid"},
    "{greatest}": {"postgresql": "greatest", "sqlite": "max"},
    "{least}": {"postgresql": "least", "sqlite": "min"},
}


class Statement:
    """A constant statement. `expanding` names parameters that are lists, for `IN :name`."""

    def __init__(self, template: str, *expanding: str) -> None:
        self._by_dialect: dict[str, TextClause] = {}
        for dialect in ("postgresql", "sqlite"):
            spelled = template.replace("@", "orchestrator_")
            for mark, spellings in _DIFFERENCES.items():
                spelled = spelled.replace(mark, spellings[dialect])
            clause = text(spelled)
            if expanding:
                clause = clause.bindparams(*(bindparam(name, expanding=True) for name in expanding))
            self._by_dialect[dialect] = clause

    def __call__(
        self, connection: Connection, parameters: dict[str, Any] | list[dict[str, Any]] | None = None, /, **named: Any
    ) -> CursorResult[Any]:
        clause = self._by_dialect[connection.dialect.name]
        return connection.execute(clause, parameters if parameters is not None else named)
