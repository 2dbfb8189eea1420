"""REST: access tokens, and the log of changes."""

from __future__ import annotations

from typing import Any, Literal

from flask import jsonify
from flask.typing import ResponseReturnValue
from pydantic import Field

from orchestrator.client import TokenView
from orchestrator.errors import InvalidDuration, TokenNotFound, UsageError
from web.access import needs
from web.api import answers, shapes
from web.api.blueprint import api
from web.contract import takes
from web.paging import MAX_CURSOR
from web.payloads import Body, read_body, read_query
from web.services import client


class NewToken(Body):
    name: str
    role: Literal["read", "trigger", "operate", "admin"] = "read"
    workflows: list[str] = Field(default=["*"])
    expires: int | str | None = None
    """After how long: milliseconds, or words such as `90 days`."""


class AuditQuery(Body):
    limit: int = Field(default=25, ge=1, le=100)
    cursor: int | None = Field(default=None, ge=0, le=MAX_CURSOR)


@api.get("/tokens")
@needs("admin")
@takes(answers.Tokens)
def list_tokens() -> ResponseReturnValue:
    return jsonify(tokens=[shapes.token(view) for view in client().access.tokens()])


@api.post("/tokens")
@needs("admin")
@takes(answers.CreatedToken, status=201, body=NewToken, refuses=(UsageError, InvalidDuration), secret=True)
def create_token() -> ResponseReturnValue:
    """The secret is in this answer and nowhere else."""
    new = read_body(NewToken)
    secret, view = client().access.create_token(new.name, role=new.role, workflows=new.workflows, expires=new.expires)
    shown: dict[str, Any] = {"secret": secret} | shapes.token(view)
    return jsonify(shown), 201


@api.delete("/tokens/<token_id>")
@needs("admin")
@takes(TokenView, refuses=(TokenNotFound,))
def revoke_token(token_id: str) -> ResponseReturnValue:
    return jsonify(shapes.token(client().access.revoke_token(token_id)))


@api.get("/audit")
@needs("admin")
@takes(answers.Audit, query=AuditQuery)
def list_audit() -> ResponseReturnValue:
    query = read_query(AuditQuery)
    entries = client().access.audit(limit=query.limit, before=query.cursor)
    cursor = entries[-1].id if len(entries) == query.limit else None
    return jsonify(entries=[shapes.audit_entry(entry) for entry in entries], next_cursor=cursor)
