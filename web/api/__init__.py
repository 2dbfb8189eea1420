"""The blueprints of the REST interface; each file of this folder adds the routes of one noun."""

from web.api import batches, events, instances, schedules, subscribe, workflows
from web.api.blueprint import api
from web.api.health import health

__all__ = ["api", "batches", "events", "health", "instances", "schedules", "subscribe", "workflows"]
