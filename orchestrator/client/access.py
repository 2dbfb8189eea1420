"""Who may use the server, and what was done: tokens and the log of changes; no request is looked at here."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from orchestrator.client.messages import storable
from orchestrator.durations import to_ms
from orchestrator.errors import TokenNotFound, Unauthorized, UsageError
from orchestrator.inspection import check_page
from orchestrator.names import is_text
from orchestrator.store import access

if TYPE_CHECKING:
    from orchestrator.client.root import Client

ROLES = ("read", "trigger", "operate", "admin")
"""Each may do what those before it may: look; start instances and send events; pause, end, delete; settings, tokens."""
MAX_NAME = 100
NEVER = 2**62
_SPELLED = re.compile(r"orc_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_USED_AGAIN_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenView:
    """Times are epoch milliseconds. The secret is nowhere: only its hash is stored."""

    id: str
    name: str
    role: str
    workflows: list[str]
    """Patterns such as `orders` or `billing-*`; `*` is all."""
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    used_at: int | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def may(self, role: str) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)

    def reaches(self, workflow: str | None) -> bool:
        """Whether it is for this workflow; for None: whether for all."""
        if workflow is None:
            return "*" in self.workflows
        return any(fnmatchcase(workflow, pattern) for pattern in self.workflows)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    id: int
    at: int
    actor: str
    action: str
    target: str
    result: str
    request_id: str | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Access:
    """Reached as `client.access`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create_token(
        self, name: str, *, role: str = "read", workflows: Sequence[str] = ("*",), expires: Any = None
    ) -> tuple[str, TokenView]:
        """The secret, which can't be shown again, and what is known of it. `expires` is a duration. Raises UsageError."""
        check_new_token(name, role, workflows)
        id = secrets.token_hex(6)
        secret = f"orc_{id}_{secrets.token_urlsafe(32)}"
        now = self._client.desk.clock.now_ms()
        row = {
            "id": id, "name": name, "hash": _hash(secret), "role": role, "workflows": json.dumps(list(workflows)),
            "now": now, "expires_at": None if expires is None else now + to_ms(expires, what="expires"),
        }  # fmt: skip
        self._client.desk.database.transaction(lambda connection: access.create_token(connection, **row))
        return secret, self._view(id)

    def tokens(self) -> list[TokenView]:
        with self._client.reading() as connection:
            return [_view(row) for row in access.tokens(connection)]

    def revoke_token(self, id: str) -> TokenView:
        """It is refused from now on. Raises TokenNotFound."""
        self._view(id)
        now = self._client.desk.clock.now_ms()
        self._client.desk.database.transaction(lambda connection: access.revoke_token(connection, id, now))
        return self._view(id)

    def check_token(self, secret: str) -> TokenView:
        """Whose it is. Raises Unauthorized, with the same words whatever is wrong with it."""
        spelled = _SPELLED.fullmatch(secret)
        if spelled is None:
            raise Unauthorized
        with self._client.reading() as connection:
            row = access.find_token(connection, spelled[1])
        now = self._client.desk.clock.now_ms()
        known = row is not None and hmac.compare_digest(row.hash, _hash(secret))
        if row is None or not known or row.revoked_at is not None or (row.expires_at or NEVER) <= now:
            raise Unauthorized
        if row.used_at is None or row.used_at < now - _USED_AGAIN_MS:
            self._client.desk.database.transaction(lambda connection: access.token_used(connection, row.id, now))
        return _view(row)

    def record(self, actor: str, action: str, target: str, result: str, request_id: str | None = None) -> None:
        """Write a change into the log."""
        row = {
            "at": self._client.desk.clock.now_ms(), "actor": actor, "action": action, "target": storable(target),
            "result": result, "request_id": request_id,
        }  # fmt: skip
        self._client.desk.database.transaction(lambda connection: access.record(connection, **row))

    def audit(self, *, limit: int = 25, before: int | None = None) -> list[AuditEntry]:
        """The changes, newest first; `before` is the `id` of the last one of the page before."""
        check_page(limit, before=before)
        with self._client.reading() as connection:
            rows = access.audit(connection, before=NEVER if before is None else before, limit=limit)
        return [AuditEntry(**row._asdict()) for row in rows]

    def _view(self, id: str) -> TokenView:
        with self._client.reading() as connection:
            row = access.find_token(connection, id) if is_text(id) else None
        if row is None:
            raise no_such_token(id)
        return _view(row)


def check_new_token(name: Any, role: Any, workflows: Any) -> None:
    """Raises UsageError."""
    if not isinstance(name, str) or not 0 < len(name.strip()) <= MAX_NAME or not name.isprintable():
        raise UsageError(f"A token's name must have 1 to {MAX_NAME} characters, and {name!r} is none.")
    if role not in ROLES:
        raise UsageError(f"There is no role {role!r}; there are {', '.join(ROLES)}.")
    listed = isinstance(workflows, Sequence) and not isinstance(workflows, str)
    if not listed or not workflows or not all(isinstance(each, str) and each for each in workflows):
        raise UsageError(f"workflows must be names or patterns such as 'billing-*', not {workflows!r}.")


def no_such_token(id: object) -> TokenNotFound:
    return TokenNotFound(f"There is no token {id!r}; `orchestrator tokens list` shows them.")


def _hash(secret: str) -> str:
    """A plain hash is enough: the secret has 256 random bits, so there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _view(row: Any) -> TokenView:
    return TokenView(
        id=row.id, name=row.name, role=row.role, workflows=json.loads(row.workflows), created_at=row.created_at,
        expires_at=row.expires_at, revoked_at=row.revoked_at, used_at=row.used_at,
    )  # fmt: skip
