"""What makes a request that is sent twice be carried out once, and answered the same; it knows nothing of HTTP.

The key is taken first, so that of two at the same time one goes on. That the request is carried out is written in the
transaction of its own changes: it can't be done without a note, nor noted and not done, wherever the process dies.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy import Connection

from orchestrator.conditions import AnswerLost, KeyReused, RequestInProgress
from orchestrator.engine.admission import Desk
from orchestrator.store import answers

LAPSE_MS = 30_000
"""A request that has changed nothing for so long may be taken over by another of its kind: it changes nothing any more."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: str


class Claimed:
    """A key that this request has, until it is answered or let go."""

    def __init__(self, desk: Desk, owner: str, key: str, claim: str) -> None:
        self._desk = desk
        self._row = {"owner": owner, "key": key, "claim": claim}

    def noted(self) -> AbstractContextManager[None]:
        """Within it the first change of this thread notes that the request is carried out."""
        return self._desk.database.along(after=self._note)

    def answer(self, status: int, headers: Mapping[str, str], body: str) -> None:
        row = self._row | {"status": status, "headers": json.dumps(dict(headers)), "body": body}
        self._desk.database.statement(lambda connection: answers.answer(connection, **row))

    def let_go(self) -> None:
        """Free the key for another try, unless something was changed."""
        self._desk.database.statement(lambda connection: answers.drop(connection, **self._row))

    def _note(self, connection: Connection) -> None:
        if not answers.done(connection, **self._row):
            raise RequestInProgress


class Answers:
    """Reached as `client.answers`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def claim(self, owner: str, key: str, request: str) -> Claimed | Answer:
        """Take a key for a request (a hash that tells it from others), or get the answer it was given before.

        Raises KeyReused, RequestInProgress, AnswerLost.
        """
        claim, now = secrets.token_hex(8), self._desk.clock.now_ms()
        row = {"owner": owner, "key": key, "request": request, "claim": claim, "now": now}
        bounds = {"expired": now - self._desk.settings.answer_memory_ms, "lapsed": now - LAPSE_MS}
        if self._desk.database.statement(lambda connection: answers.claim(connection, **row, **bounds)):
            return Claimed(self._desk, owner, key, claim)
        with self._desk.database.read() as connection:
            known = answers.find(connection, owner, key)
        if known is not None and known.request != request:
            raise KeyReused
        if known is not None and known.state == "answered":
            return Answer(known.status, json.loads(known.headers), known.body)
        if known is not None and known.state == "done" and known.at < bounds["lapsed"]:
            raise AnswerLost
        raise RequestInProgress
