"""REST: how often and how fast workflows and their steps ran, by hour."""

from __future__ import annotations

from typing import Annotated, Any

from flask import jsonify
from flask.typing import ResponseReturnValue
from pydantic import BeforeValidator, Field

from orchestrator.errors import InvalidAggregates
from web import seen
from web.access import filtered
from web.api import answers, shapes
from web.api.blueprint import api
from web.contract import takes
from web.payloads import Body, read_query
from web.services import workflow_client
from web.times import Moment, epoch_ms


def _as_list(value: object) -> object:
    return [word for word in value.split(",") if word] if isinstance(value, str) else value


class AggregatesQuery(Body):
    since: Moment | None = None
    until: Moment | None = None
    group_by: Annotated[list[str], BeforeValidator(_as_list)] = Field(default_factory=lambda: ["hour"])
    step: str | None = Field(default=None, max_length=256)

    def arguments(self) -> dict[str, Any]:
        return {
            "since": None if self.since is None else epoch_ms(self.since),
            "until": None if self.until is None else epoch_ms(self.until),
            "group_by": self.group_by,
            "step": self.step,
        }


@api.get("/aggregates")
@filtered
@takes(answers.Aggregates, query=AggregatesQuery, refuses=(InvalidAggregates,))
def all_aggregates() -> ResponseReturnValue:
    """Of all workflows."""
    found = seen.aggregates(**read_query(AggregatesQuery).arguments())
    return jsonify(aggregates=[shapes.aggregate(row) for row in found])


@api.get("/workflows/<workflow>/aggregates")
@takes(answers.Aggregates, query=AggregatesQuery, refuses=(InvalidAggregates,))
def workflow_aggregates(workflow: str) -> ResponseReturnValue:
    found = workflow_client(workflow).aggregates(**read_query(AggregatesQuery).arguments())
    return jsonify(aggregates=[shapes.aggregate(row) for row in found])
