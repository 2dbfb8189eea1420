"""Tokens and the log of changes of a server; it is the server that decides who may see them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.client import AuditEntry, TokenView
from orchestrator.client.access import check_new_token, no_such_token
from orchestrator.durations import to_ms
from orchestrator.inspection import check_page
from orchestrator.names import is_text
from orchestrator.remote.address import can_be_in_a_path
from orchestrator.remote.records import record

if TYPE_CHECKING:
    from orchestrator.remote.root import RemoteClient


class RemoteAccess:
    """Reached as `client.access`."""

    def __init__(self, client: RemoteClient) -> None:
        self._transport = client.transport

    def create_token(
        self, name: str, *, role: str = "read", workflows: Sequence[str] = ("*",), expires: Any = None
    ) -> tuple[str, TokenView]:
        """The secret, which can't be shown again, and what is known of it. `expires` is a duration. Raises UsageError."""
        check_new_token(name, role, workflows)
        asked: dict[str, Any] = {"name": name, "role": role, "workflows": list(workflows)}
        if expires is not None:
            asked["expires"] = to_ms(expires, what="expires")
        # No server stores a secret, so it could not give the same answer once more.
        answer = self._transport.ask("POST", "tokens", body=json.dumps(asked), once=False)
        return answer["secret"], record(TokenView, answer)

    def tokens(self) -> list[TokenView]:
        return [record(TokenView, row) for row in self._transport.get("tokens")["tokens"]]

    def revoke_token(self, id: str) -> TokenView:
        """It is refused from now on. Raises TokenNotFound."""
        if not (is_text(id) and can_be_in_a_path(id) and "/" not in id):
            raise no_such_token(id)
        return record(TokenView, self._transport.ask("DELETE", "tokens", id))

    def audit(self, *, limit: int = 25, before: int | None = None) -> list[AuditEntry]:
        """The changes, newest first; `before` is the `id` of the last one of the page before."""
        check_page(limit, before=before)
        rows = self._transport.rows("audit", within="entries", limit=limit, cursor=before)
        return [record(AuditEntry, row) for row in rows]
