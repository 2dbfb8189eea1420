"""Cloudflare's REST interface of Workflows over the same operations as ours; each file adds the routes of one noun."""

from web.cloudflare import batches, instances, jobs, outputs, versions, workflows
from web.cloudflare.blueprint import cloudflare, mount, speaks_here
from web.cloudflare.envelope import refusal

__all__ = [
    "batches",
    "cloudflare",
    "instances",
    "jobs",
    "mount",
    "outputs",
    "refusal",
    "speaks_here",
    "versions",
    "workflows",
]
