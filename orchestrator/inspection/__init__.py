"""The read model: workflows and instances as people see them; it changes nothing."""

from orchestrator.authoring.shown import REDACTED, shown_output
from orchestrator.inspection.aggregates import AggregateRow, DurationStats, aggregates, check_aggregates
from orchestrator.inspection.detail import describe
from orchestrator.inspection.lists import (
    MAX_PAGE,
    check_page,
    count_instances,
    find_instances,
    list_instances,
    list_workflows,
)
from orchestrator.inspection.outputs import StoredOutput, stored_output
from orchestrator.inspection.runs import describe_run, runs_of
from orchestrator.inspection.schedules import ScheduleView, list_schedules, schedule_view
from orchestrator.inspection.steps import public_rollback
from orchestrator.inspection.versions import VersionView, graph, list_versions
from orchestrator.inspection.views import AttemptView, InstanceDetail, InstanceView, RunView, StepView, WorkflowView

__all__ = [
    "MAX_PAGE",
    "REDACTED",
    "AggregateRow",
    "AttemptView",
    "DurationStats",
    "InstanceDetail",
    "InstanceView",
    "RunView",
    "ScheduleView",
    "StepView",
    "StoredOutput",
    "VersionView",
    "WorkflowView",
    "aggregates",
    "check_aggregates",
    "check_page",
    "count_instances",
    "describe",
    "describe_run",
    "find_instances",
    "graph",
    "list_instances",
    "list_schedules",
    "list_versions",
    "list_workflows",
    "public_rollback",
    "runs_of",
    "schedule_view",
    "shown_output",
    "stored_output",
]
