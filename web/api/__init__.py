"""The blueprints of the REST interface; each file of this folder adds the routes of one noun."""

from web.api import (
    access,
    aggregates,
    batches,
    document,
    events,
    instances,
    jobs,
    outputs,
    rejected,
    schedules,
    subscribe,
    versions,
    workflows,
)
from web.api.blueprint import api
from web.api.health import health

__all__ = [
    "access", "aggregates", "api", "batches", "document", "events", "health", "instances", "jobs", "outputs", "rejected",
    "schedules", "subscribe", "versions", "workflows",
]  # fmt: skip
