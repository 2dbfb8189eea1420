"""The errors of requests that hang on something else: on an earlier request of the same key, on a state that was seen."""

from __future__ import annotations

from orchestrator.errors import UsageError


class KeyReused(UsageError):
    """This Idempotency-Key was sent with another request before. Use a new key for each new request."""

    code = "idempotency.key_reused"


class RequestInProgress(UsageError):
    """A request with this Idempotency-Key is still being carried out. Send it again in a moment to get its answer."""

    code = "idempotency.in_progress"
    retry_after_s = 1.0


class AnswerLost(UsageError):
    """The request with this Idempotency-Key was carried out, but the server stopped before it could store the answer.

    Look at what it has done; for another request use another key.
    """

    code = "idempotency.answer_lost"


class PreconditionFailed(UsageError):
    """It is not any more what the request says that it has seen: look again, and then decide."""

    code = "request.precondition_failed"

    def __init__(self, message: str | None = None, etag: str = "") -> None:
        super().__init__(message)
        self.etag = etag
        """Of what it is now."""
