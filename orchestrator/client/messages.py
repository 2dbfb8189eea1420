"""What a message from a queue may ask for, read and checked before it is carried out; it knows no broker."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from orchestrator.engine import intake
from orchestrator.errors import InvalidMessage, MessageNotFound, OrchestratorError
from orchestrator.inspection import check_page
from orchestrator.names import check_event_type, is_text
from orchestrator.numbers import MAX_KEY, integer
from orchestrator.retention import Retention
from orchestrator.serialization import check_readable, check_size, encode, explain
from orchestrator.store import inbox
from orchestrator.store.reading import NEVER

if TYPE_CHECKING:
    from orchestrator.client.root import Client

MAX_MESSAGE_ID = 255
MAX_BODY = 1024 * 1024


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    message_id: str | None = None
    workflow: str


class Create(_Message):
    action: Literal["create"]
    instance_id: str | None = None
    params: Any = None
    retention: dict[str, Any] | None = None


class SendEvent(_Message):
    action: Literal["send_event"]
    instance_id: str
    type: str
    payload: Any = None


_ANY: TypeAdapter[Create | SendEvent] = TypeAdapter(Annotated[Create | SendEvent, Field(discriminator="action")])


@dataclass(frozen=True, slots=True)
class RejectedMessage:
    """A message that could not be carried out, as it came, and why."""

    id: int
    message_id: str | None
    queue: str
    body: str
    code: str
    reason: str
    at: int
    """Epoch milliseconds."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read(body: bytes | str, message_id: str | None) -> tuple[Create | SendEvent, str]:
    """A message and its id. Raises InvalidMessage."""
    try:
        message = _ANY.validate_json(body)
    except ValidationError as error:
        raise InvalidMessage(f"The message is not valid: {explain(error, 'message')}.") from None
    id = message.message_id or message_id
    if id is None:
        raise InvalidMessage(
            "The message has no id, so it could be carried out twice: give it a `message_id`, in its body or its properties."
        )
    if len(id) > MAX_MESSAGE_ID or not is_text(id):
        raise InvalidMessage(f"The message's id is {id[:50]!r}…: use at most {MAX_MESSAGE_ID} printable characters.")
    return message, id


def accept(client: Client, body: bytes | str, message_id: str | None) -> bool:
    """Carry out what a message asks for; durable when this returns. False if that was done before.

    Raises InvalidMessage, and what creating and sending raise.
    """
    message, id = read(body, message_id)
    return _carry_out(client, message, intake.new(client.desk, id))


def _carry_out(client: Client, message: Create | SendEvent, claim: intake.Claim) -> bool:
    workflow = client.workflow(message.workflow)
    if isinstance(message, Create):
        new = workflow.new(message.params, message.instance_id, Retention.of(message.retention))
        return intake.create(client.desk, claim, workflow.name, workflow.queue, new)
    what = f"The payload of event {check_event_type(message.type)!r}"
    text = check_size(encode(message.payload, what=what), what, client.desk.settings.max_payload_bytes)
    payload = check_readable(text, what)
    return intake.send_event(client.desk, claim, workflow.name, message.instance_id, message.type, payload)


def reject(client: Client, body: str, error: OrchestratorError, *, message_id: str | None, queue: str) -> bool:
    """The id in the body is the one that counts, if it can be read."""
    try:
        known: str | None = read(body, message_id)[1]
    except InvalidMessage:
        known = (
            message_id if message_id is not None and len(message_id) <= MAX_MESSAGE_ID and is_text(message_id) else None
        )
    return intake.reject(
        client.desk, known, queue=queue, body=storable(body), code=error.code, reason=storable(error.message)
    )


def storable(text: str) -> str:
    """PostgreSQL stores no NUL, and nothing stores half a character."""
    return text[:MAX_BODY].replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def rejected(client: Client, *, limit: int, before: int | None) -> list[RejectedMessage]:
    check_page(limit, before=before)
    with client.reading() as connection:
        rows = inbox.rejected(connection, before=NEVER if before is None else before, limit=limit)
    return [RejectedMessage(**row._asdict()) for row in rows]


def retry(client: Client, id: int) -> None:
    """Carry out a rejected message now; it stays where it is if it still can't be.

    Raises MessageNotFound, InvalidMessage, and what creating and sending raise.
    """
    id = stored_id(id)
    with client.reading() as connection:
        row = inbox.one_rejected(connection, id)
    if row is None or not _carry_out(client, read(row.body, row.message_id)[0], intake.kept_aside(id)):
        raise _not_found(id)


def delete(client: Client, id: int) -> None:
    """Raises MessageNotFound."""
    if not intake.drop(client.desk, stored_id(id)):
        raise _not_found(id)


def stored_id(id: Any) -> int:
    """One that a message may have. Raises MessageNotFound for any other number, and UsageError for what is none."""
    if not 0 <= integer(id, "id") <= MAX_KEY:
        raise _not_found(id)
    return int(id)


def _not_found(id: int) -> MessageNotFound:
    return MessageNotFound(f"There is no rejected message {id}; `orchestrator rejected` lists those there are.")


def forget(client: Client) -> int:
    desk = client.desk
    before = desk.clock.now_ms() - desk.settings.message_memory_ms
    return desk.database.statement(lambda connection: inbox.forget(connection, before))
