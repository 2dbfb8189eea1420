"""The measured programs as plain Celery tasks, for a worker that knows nothing of us."""

from __future__ import annotations

import os
import time
from typing import Any

from celery import Celery

app = Celery("plain", broker=os.environ["PLAIN_BROKER_URL"], backend=os.environ["PLAIN_BROKER_URL"])
# A message is given up only when its task has ended, so that a worker's death does not lose it: the promise nearest ours.
app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True, broker_connection_retry_on_startup=True)


def first(n: int) -> dict[str, int]:
    return {"i": n, "sum": n}


def following(before: dict[str, int], n: int) -> dict[str, int]:
    return {"i": n, "sum": before["sum"] + n}


def noop(i: int) -> dict[str, int]:
    return {"i": i}


def nap(i: int, ms: int) -> dict[str, int]:
    time.sleep(ms / 1000)
    return {"i": i}


def now_ms() -> float:
    return time.time() * 1000


def fail_twice(self: Any) -> int:
    if self.request.retries < 2:
        raise self.retry(countdown=0, max_retries=2)
    return int(self.request.retries) + 1


first_task = app.task(first, name="first")
following_task = app.task(following, name="following")
noop_task = app.task(noop, name="noop")
nap_task = app.task(nap, name="nap")
now_task = app.task(now_ms, name="now_ms")
fail_twice_task = app.task(fail_twice, name="fail_twice", bind=True)
