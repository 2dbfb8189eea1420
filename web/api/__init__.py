"""The blueprints of the REST interface; each file of this folder adds the routes of one noun."""

from web.api import access, batches, events, instances, schedules, subscribe, workflows
from web.api.blueprint import api
from web.api.health import health

__all__ = ["access", "api", "batches", "events", "health", "instances", "schedules", "subscribe", "workflows"]
