"""What can be done over HTTP with the messages from queues that a server could not carry out."""

from __future__ import annotations

from orchestrator.client import RejectedMessage
from orchestrator.client.messages import stored_id
from orchestrator.inspection import check_page
from orchestrator.remote.records import record
from orchestrator.remote.transport import Transport


class RemoteMessageActions:
    transport: Transport

    def rejected_messages(self, *, limit: int = 25, before: int | None = None) -> list[RejectedMessage]:
        """Messages that were kept aside, newest first; `before` is the `id` of the last one of the page before."""
        check_page(limit, before=before)
        rows = self.transport.rows("rejected", within="messages", limit=limit, cursor=before)
        return [record(RejectedMessage, row) for row in rows]

    def retry_message(self, id: int) -> None:
        """Carry out a rejected message now, by its `id` in `rejected_messages()`; it stays there if it still can't be.

        Raises MessageNotFound, InvalidMessage, and what `create` and `send_event` raise.
        """
        self.transport.send("POST", "rejected", str(stored_id(id)), "retry")

    def delete_message(self, id: int) -> None:
        """Forget a rejected message. Raises MessageNotFound."""
        self.transport.send("DELETE", "rejected", str(stored_id(id)))
