"""The blueprint of the pages and what its templates may call; it has no routes of its own."""

from __future__ import annotations

from flask import Blueprint

from web.dashboard import presenters
from web.permits import caller, may

dashboard = Blueprint("dashboard", __name__, template_folder="../templates")

for presenter in (
    presenters.status_badge,
    presenters.step_badge,
    presenters.rollback_badge,
    presenters.kind_word,
    presenters.moment,
    presenters.took,
    presenters.shown,
    presenters.error_line,
    presenters.counts,
    presenters.total,
    presenters.is_finished,
    presenters.preview,
    presenters.has_output,
    presenters.may_be_restarted_from,
    presenters.begun_from,
    presenters.settings,
    presenters.cell,
):
    dashboard.add_app_template_filter(presenter)

dashboard.add_app_template_global(caller)
dashboard.add_app_template_global(may)
