"""The blueprints of the REST interface; each file of this folder adds the routes of one noun."""

<<<<<<< HEAD
from web.api import access, aggregates, batches, events, instances, outputs, schedules, subscribe, versions, workflows
=======
from web.api import access, batches, events, insight, instances, schedules, subscribe, workflows
>>>>>>> cebafb7 (Versions, graphs, numbers and whole step outputs from the command line, over REST and from the HTTP client)
from web.api.blueprint import api
from web.api.health import health

__all__ = [
<<<<<<< HEAD
    "access", "aggregates", "api", "batches", "events", "health", "instances", "outputs", "schedules", "subscribe",
    "versions", "workflows",
]  # fmt: skip
=======
    "access",
    "api",
    "batches",
    "events",
    "health",
    "insight",
    "instances",
    "schedules",
    "subscribe",
    "workflows",
]
>>>>>>> cebafb7 (Versions, graphs, numbers and whole step outputs from the command line, over REST and from the HTTP client)
