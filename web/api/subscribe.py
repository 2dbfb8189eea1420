"""REST: what happens to an instance, as server-sent events that a browser's EventSource reads; it changes nothing.

Each answer holds a thread of the server, so there are only so many at once, and each ends after a while: whoever reads
comes back with the number of the last event, as EventSource does by itself.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Annotated, Any

from flask import Response, request
from flask.typing import ResponseReturnValue
from pydantic import BeforeValidator, Field

from orchestrator.client import InstanceEvent, Subscription
from orchestrator.clock import monotonic
from orchestrator.errors import InstanceNotFound, InvalidSubscription, OrchestratorError
from web.api import answers
from web.api.blueprint import api
from web.contract import takes
from web.payloads import Body, read_query
from web.refusals import TooManySubscribers
from web.services import services, workflow_client

HEARTBEAT_S = 15.0
LONGEST_S = 600.0
COME_BACK_MS = 1000


def _as_list(value: object) -> object:
    """`?filter=step_started,step_completed` and `?filter=step_started&filter=step_completed` mean the same."""
    return [word for word in value.split(",") if word] if isinstance(value, str) else value


class SubscribeQuery(Body):
    cursor: int | None = Field(default=None)
    filter: Annotated[list[str], BeforeValidator(_as_list)] = Field(default_factory=list)


@api.get("/workflows/<workflow>/instances/<instance:instance_id>/subscribe")
@takes(
    answers.ServerSentEvent,
    query=SubscribeQuery,
    media=("text/event-stream",),
    refuses=(InstanceNotFound, InvalidSubscription, TooManySubscribers),
)
def subscribe(workflow: str, instance_id: str) -> ResponseReturnValue:
    return event_stream(workflow, instance_id)


def event_stream(workflow: str, instance_id: str) -> ResponseReturnValue:
    """204 to one who comes back after the end: it tells EventSource to stop."""
    query = read_query(SubscribeQuery)
    cursor = _last_event_id() if request.headers.get("Last-Event-ID") else query.cursor
    instance = workflow_client(workflow).get(instance_id)
    subscription = instance.subscribe(cursor=cursor, filter=query.filter or None)
    if cursor is not None:
        first = subscription.next(0)
        if first is None and subscription.ended:
            return "", 204
    else:
        first = None
    slots = services().subscribers
    if not slots.acquire(blocking=False):
        raise TooManySubscribers
    response = Response(_Lines(subscription, first, slots), mimetype="text/event-stream")
    # The length is not known, and a proxy must hand each line on as it comes.
    response.headers["X-Accel-Buffering"] = "no"
    response.headers["Cache-Control"] = "no-store"
    return response


def _last_event_id() -> Any:
    given = request.headers["Last-Event-ID"]
    return int(given) if given.isdecimal() else given


class _Lines:
    """The body; the server closes it when whoever reads has gone."""

    def __init__(self, subscription: Subscription, first: InstanceEvent | None, slots: threading.Semaphore) -> None:
        self._subscription = subscription
        self._slots = slots
        self._lines = self._write(first)
        self._closed = False

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._subscription.close()
            self._slots.release()

    def _write(self, first: InstanceEvent | None) -> Iterator[str]:
        until = monotonic() + LONGEST_S
        # Something at once, so that whoever reads knows that it is connected.
        yield f"retry: {COME_BACK_MS}\n\n"
        if first is not None:
            yield _event(first)
        try:
            while not self._subscription.ended or first is not None:
                first = self._subscription.next(HEARTBEAT_S)
                if first is not None:
                    yield _event(first)
                elif not self._subscription.ended:
                    yield ": still here\n\n"
                if monotonic() > until:
                    return
        except InstanceNotFound:
            yield "event: gone\ndata: {}\n\n"
        except OrchestratorError as error:
            yield f"event: error\ndata: {json.dumps({'code': error.code, 'detail': error.message})}\n\n"


def _event(event: InstanceEvent) -> str:
    # JSON has no line breaks of its own, so each event is one line of data.
    return f"id: {event.event_id}\nevent: {event.type}\ndata: {json.dumps(event.to_dict())}\n\n"
