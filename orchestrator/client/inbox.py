"""What the client can do with messages from queues; how they are read and carried out is in `messages`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from orchestrator.client import messages
from orchestrator.client.messages import RejectedMessage
from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from orchestrator.client.root import Client


class MessageActions:
    def accept_message(self, body: bytes | str, *, message_id: str | None = None) -> bool:
        """Start an instance or send an event, as the JSON of a message says; False if that was done before.

        Raises InvalidMessage, and what `create` and `send_event` raise.
        """
        return messages.accept(self._client, body, message_id)

    def reject_message(self, body: str, error: OrchestratorError, *, message_id: str | None, queue: str) -> bool:
        """Keep a message aside that can't be carried out; False if it was dealt with before."""
        return messages.reject(self._client, body, error, message_id=message_id, queue=queue)

    def rejected_messages(self, *, limit: int = 25, before: int | None = None) -> list[RejectedMessage]:
        """Messages that were kept aside, newest first; `before` is the `id` of the last one of the page before."""
        return messages.rejected(self._client, limit=limit, before=before)

    def retry_message(self, id: int) -> None:
        """Carry out a rejected message now, by its `id` in `rejected_messages()`; it stays there if it still can't be.

        Raises MessageNotFound, InvalidMessage, and what `create` and `send_event` raise.
        """
        messages.retry(self._client, id)

    def delete_message(self, id: int) -> None:
        """Forget a rejected message. Raises MessageNotFound."""
        messages.delete(self._client, id)

    def forget_messages(self) -> int:
        """Forget the ids of messages that were dealt with so long ago that none will come again; how many."""
        return messages.forget(self._client)

    @property
    def _client(self) -> Client:
        return cast("Client", self)
