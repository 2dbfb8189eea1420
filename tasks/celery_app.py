"""The Celery app and the reason for each of its settings; it holds no task bodies and starts nothing."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import Any

from celery import Celery
from kombu.entity import Queue

from orchestrator.authoring.workflow import DEFAULT_QUEUE
from orchestrator.errors import SettingsError
from orchestrator.settings import Settings
from tasks.names import celery_queue

MEMORY_BROKER = "memory://localhost/"


def create_celery(
    settings: Settings, *, broker_url: str | None = None, queues: Sequence[str] = (DEFAULT_QUEUE,)
) -> Celery:
    """An app for publishing and for working. Raises SettingsError without a broker."""
    url = broker_url or settings.celery_broker_url
    if url is None:
        raise SettingsError(
            "There is no broker: set REDIS_URL or CELERY_BROKER_URL (for example redis://localhost:6379/0). "
            "`orchestrator dev` needs none."
        )
    app = Celery("orchestrator", broker=url, set_as_current=False)
    app.conf.update(
        # JSON only: a message may hold nothing but an instance's key, and nothing that comes in is ever executed.
        task_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        # The database has every result; another store could only disagree with it.
        result_backend=None,
        task_ignore_result=True,
        task_store_eager_result=False,
        # Retries, timeouts and limits are ours: Celery's are lost with a worker, or doubled by the broker.
        task_publish_retry=False,
        task_time_limit=None,
        # Late acknowledgement is harmless with claims, and it makes a message that waits in a dying worker come back
        # where the transport can do that.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_queues=[_queue(celery_queue(settings, queue)) for queue in queues],
        task_default_queue=celery_queue(settings, queues[0]),
        # `celery -A tasks worker -Q orchestrator.gpu` may name a queue that only a step's queue= tells of.
        task_create_missing_queues=True,
        # Each of these publishes messages of its own; what they would tell is in the database.
        task_send_sent_event=False,
        worker_send_task_events=False,
        # Whoever can write to the broker could stop workers with it.
        worker_enable_remote_control=False,
        worker_disable_rate_limits=True,
        # One waiting message a slot: doorbells are answered by whoever is free, not hoarded by whoever is busy.
        worker_prefetch_multiplier=1,
        worker_pool="threads",
        worker_concurrency=settings.concurrency,
        # A claim outlives a lost connection; running the same work again would only find it held.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_soft_shutdown_timeout=0,
        worker_redirect_stdouts=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_pool_limit=10,
        broker_transport="tasks.memory_broker:Transport" if url.startswith("memory") else None,
        broker_transport_options=_transport_options(url),
        # Nothing but our own tasks is ever imported.
        imports=["tasks.bodies"],
    )
    return app


def _queue(name: str) -> Queue:
    return Queue(name, routing_key=name)


def _transport_options(url: str) -> dict[str, Any]:
    if not url.startswith(("redis", "rediss", "unix", "sentinel", "valkey")):
        return {}
    return {
        # Three round trips less for each message, and no visibility timeout that runs things twice. What it gives up,
        # messages held by a worker that is killed, the pump rings again.
        "ack_emulation": False,
        "body_encoding": "utf-8",
        "priority_steps": [0],
        # Without these a broker that does not answer would hang whoever publishes, for ever.
        "socket_timeout": 5,
        "socket_connect_timeout": 1,
        "socket_keepalive": True,
        "health_check_interval": 10,
        # A refused or silent broker must cost a caller a moment, not a series of attempts.
        "max_retries": 0,
    }


@functools.cache
def default_app() -> Celery:
    """The app of this process's environment, for `celery -A tasks worker` and those who import it."""
    from tasks import worker_signals

    settings = Settings()
    app = create_celery(settings)
    if any(argument.removeprefix("--pool=").removeprefix("-P") == "prefork" for argument in sys.argv):
        # Celery takes its own default for "not given" and this app's pool instead, even where it was given.
        app.conf.worker_pool = "prefork"
    worker_signals.connect(app, settings, queues_of_workflows=True)
    return app
