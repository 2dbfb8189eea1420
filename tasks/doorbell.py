"""Rings by publishing Celery messages that carry an instance's key and nothing else; it never waits long, never raises."""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Sequence
from typing import Any

from celery import Celery
from kombu import pools

from orchestrator.clock import monotonic
from orchestrator.doorbell import LocalNotifier, Notifier, Ring
from orchestrator.errors import SettingsError
from orchestrator.names import new_instance_id
from orchestrator.settings import Settings
from tasks.celery_app import create_celery
from tasks.names import ADVANCE, ADVANCE_TOGETHER, RUN_STEP, celery_queue

log = logging.getLogger(__name__)

BATCH = 500
PATIENCE_S = 0.5
"""With a broker that does not answer: this and the notifier's patience are what a client's call may cost, once."""
FIRST_REST_S, LONGEST_REST_S = 1.0, 15.0


class CeleryDoorbell:
    """After a failure it rests for a while, doubling, so that callers do not pay for a broker that is down.

    Nothing is lost by that: every ring stands in the database too, and the pump rings again.
    """

    def __init__(self, settings: Settings, *, app: Celery | None = None, notifier: Notifier | None = None) -> None:
        self.grace_ms = settings.grace_ms
        self._settings = settings
        self._app = app or create_celery(settings)
        self.notifier = notifier or _notifier(settings)
        self._pool: Any = None
        self._lock = threading.Lock()
        self._rests_until = 0.0
        self._rest_s = FIRST_REST_S
        self.failures = 0

    def ring(self, rings: Sequence[Ring]) -> None:
        if monotonic() < self._rests_until:
            self.failures += len(rings)
            return
        try:
            self._publish(rings)
        except Exception as error:  # noqa: BLE001 - whatever the transport raises, a ring must never fail its caller
            self._rest(rings, error)
        else:
            self._rest_s = FIRST_REST_S

    def _publish(self, rings: Sequence[Ring]) -> None:
        with self._producers().acquire(block=True, timeout=PATIENCE_S) as producer:
            if len(rings) == 1:
                self._send(producer, rings[0])
                return
            with producer.batch(BATCH):
                for ring in rings:
                    self._send(producer, ring)

    def _producers(self) -> Any:
        """Connections of our own: those of the app wait longer for an answer, as consumers have to."""
        if self._pool is None:
            impatient = {"socket_timeout": PATIENCE_S, "socket_connect_timeout": PATIENCE_S}
            known = self._app.conf.broker_transport_options
            options = {name: value for name, value in impatient.items() if name in known}
            self._pool = pools.producers[self._app.connection_for_write(transport_options=options)]
            self._pool.limit = self._app.conf.broker_pool_limit
        return self._pool

    def _send(self, producer: Any, ring: Ring) -> None:
        task, args = _task_of(ring)
        message = self._app.amqp.as_task_v2(
            new_instance_id(),
            task,
            args=args,
            countdown=ring.delay_ms / 1000 or None,
            ignore_result=True,
            argsrepr="",
            kwargsrepr="",
        )
        producer.publish(
            message.body,
            exchange="",
            routing_key=celery_queue(self._settings, ring.queue),
            headers=message.headers,
            serializer="json",
            retry=False,
            declare=[],
            **message.properties,
        )

    def _rest(self, rings: Sequence[Ring], error: Exception) -> None:
        with self._lock:
            self.failures += len(rings)
            log.warning(
                "the broker can't be reached (%s: %s); the pump will ring for %d instance(s). Next try in %.0f s",
                type(error).__name__, error, len(rings), self._rest_s,
            )  # fmt: skip
            self._rests_until = monotonic() + self._rest_s
            self._rest_s = min(self._rest_s * 2, LONGEST_REST_S)


def _task_of(ring: Ring) -> tuple[str, tuple[Any, ...]]:
    if ring.others:
        return ADVANCE_TOGETHER, ([ring.instance_pk, *ring.others],)
    return ADVANCE if ring.task == "advance" else RUN_STEP, (ring.instance_pk,)


def worker_doorbell(settings: Settings, app: Celery) -> CeleryDoorbell:
    """The doorbell of the settings, publishing through this app. Raises SettingsError."""
    module, _, name = settings.doorbell.partition(":")
    try:
        made = getattr(importlib.import_module(module), name)(settings, app=app)
    except (ImportError, AttributeError, TypeError) as error:
        raise SettingsError(
            f"The doorbell {settings.doorbell!r} can't ring for a worker ({error}); it must be module:class, of a class "
            "derived from tasks.doorbell:CeleryDoorbell."
        ) from error
    assert isinstance(made, CeleryDoorbell)
    return made


def _notifier(settings: Settings) -> Notifier:
    if settings.redis_url is None:
        return LocalNotifier()
    from tasks.notifier import RedisNotifier

    return RedisNotifier(settings.redis_url, settings.queue_prefix)
