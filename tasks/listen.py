"""Starts instances and sends events as messages from a queue ask for; what they may ask for is the client's to say.

A message is acknowledged after the database has committed what it asked for, and comes again if this process dies
before; it is then known by its id and does nothing. What can't be carried out is kept aside, with the reason.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from typing import Any

from kombu import Connection, Consumer, Queue

from orchestrator.client import Client
from orchestrator.clock import monotonic
from orchestrator.errors import (
    DatabaseUnavailable,
    InstanceNotFound,
    OrchestratorError,
    SettingsError,
    SetupError,
    WorkflowNotFound,
)
from orchestrator.settings import Settings
from tasks import redis_inbox
from tasks.publisher import transport_options

log = logging.getLogger(__name__)

JSON = frozenset({"application/json", "text/plain", "application/data", None})
"""Kombu's names for a body without a type of its own are let through: it must be JSON all the same."""
PREFETCH = 16
LOOK_S = 0.5
FIRST_REST_S, LONGEST_REST_S = 0.5, 15.0
PATIENCE_S = 3.0
"""How long a message waits for the instance or workflow it names, which may be on its way through the same queue."""
FORGET_EVERY_S = 600.0
GIVE_BACK_EVERY_S = 30.0
"""How long a message waits that a listener took with it into death."""


class Listener:
    def __init__(self, client: Client, url: str, queue: str) -> None:
        self._client = client
        self._url = url
        self._queue = Queue(queue, routing_key=queue, durable=True)
        self._stop = threading.Event()
        self._rest_s = FIRST_REST_S
        self._forgets_at = 0.0
        self.ready = threading.Event()

    def stop(self) -> None:
        """From any thread or signal handler: end after the message in hand; the others are left to the broker."""
        self._stop.set()

    def run(self) -> None:
        """Listen until told to stop. A broker or a database that is away is waited for."""
        while not self._stop.is_set():
            try:
                with Connection(self._url, transport_options=transport_options(self._url)) as connection:
                    redis_inbox.use_for(connection)
                    self._consume(connection)
            except DatabaseUnavailable as error:
                self._rest(f"the database is away: {error}")
            except Exception as error:
                if isinstance(error, SetupError):
                    raise
                self._rest(f"the broker is away ({type(error).__name__}: {error})")

    def _consume(self, connection: Any) -> None:
        with connection.channel() as channel:
            consumer = Consumer(channel, [self._queue], on_message=self._received)
            consumer.qos(prefetch_count=PREFETCH)
            with consumer:
                self.ready.set()
                gives_back_at = 0.0
                while not self._stop.is_set():
                    if monotonic() >= gives_back_at and isinstance(channel, redis_inbox.Channel):
                        gives_back_at = monotonic() + GIVE_BACK_EVERY_S
                        channel.give_back(self._queue.name)
                    try:
                        connection.drain_events(timeout=LOOK_S)
                    except TimeoutError:
                        self._forget_old()
                    self._rest_s = FIRST_REST_S

    def _received(self, message: Any) -> None:
        if self._stop.is_set():
            message.requeue()
            return
        body = message.body if isinstance(message.body, str) else bytes(message.body).decode("utf-8", "replace")
        id = message.properties.get("message_id") or (message.headers or {}).get("message_id")
        try:
            if message.content_type not in JSON:
                raise _NotJson(message.content_type)
            done = self._patiently(lambda: self._client.accept_message(body, message_id=id))
            if not done:
                log.info("message %s was dealt with before", id)
        except SetupError:
            message.requeue()
            raise
        except OrchestratorError as error:
            self._keep_aside(body, error, id)
        except Exception as error:
            # A fault of ours must not let the same message come again for ever.
            log.exception("message %s could not be carried out", id)
            self._keep_aside(body, OrchestratorError(f"{type(error).__name__}: {error}"), id)
        message.ack()

    def _keep_aside(self, body: str, error: OrchestratorError, id: str | None) -> None:
        log.warning("message %s is kept aside: %s", id, error)
        self._client.reject_message(body, error, message_id=id, queue=self._queue.name)

    def _patiently(self, call: Callable[[], bool]) -> bool:
        until = monotonic() + PATIENCE_S
        while True:
            try:
                return call()
            except (InstanceNotFound, WorkflowNotFound):
                if monotonic() >= until or self._stop.wait(0.2):
                    raise

    def _forget_old(self) -> None:
        if monotonic() >= self._forgets_at:
            self._forgets_at = monotonic() + FORGET_EVERY_S
            self._client.forget_messages()

    def _rest(self, why: str) -> None:
        log.warning("%s; trying again in %.1f s", why, self._rest_s)
        self._stop.wait(self._rest_s)
        self._rest_s = min(self._rest_s * 2, LONGEST_REST_S)


class _NotJson(OrchestratorError):
    """The message is not JSON."""

    code = "message.not_json"

    def __init__(self, content_type: object) -> None:
        super().__init__(f"The message's content type is {content_type!r}; only application/json is accepted.")


def run_listener(settings: Settings, *, url: str | None = None, queue: str | None = None) -> int:
    """Listen until SIGTERM or SIGINT; the exit code. Raises SetupError before anything is taken from the queue."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    broker = url or settings.listen_url or settings.celery_broker_url
    if broker is None:
        raise SettingsError("There is no queue to listen to: set ORCHESTRATOR_LISTEN_URL, or give --from.")
    with Client(settings) as client:
        client.desk.database.check_reachable()
        listener = Listener(client, broker, queue or settings.listen_queue)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: listener.stop())
        log.info("listening to the queue %s", queue or settings.listen_queue)
        listener.run()
    return 0
