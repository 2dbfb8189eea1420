"""The pages for people, at /; they show what the read model says and change things through the client only."""

from web.dashboard import actions, manage, pages, steps
from web.dashboard.blueprint import dashboard

__all__ = ["actions", "dashboard", "manage", "pages", "steps"]
