"""An instance that deletes itself over HTTP stops where it stands, as through the client at the database."""

from __future__ import annotations

import contextvars
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.client import Instance
from orchestrator.engine.host import register
from orchestrator.errors import InstanceNotFound
from tests.engine.bench import Bodies
from tests.engine.conftest import bodies
from tests.remote.conftest import Both

__all__ = ["bodies"]


@pytest.mark.parametrize("place", ["a step", "an async step", "run", "a blocking run"])
def test_nothing_after_that_runs(both: Both, bodies: Bodies, place: str) -> None:
    def delete(event: Any) -> None:
        try:
            both.remote.workflow(event.workflow_name).get(event.instance_id).delete()
            bodies.ran.append("the line after")
        except Exception:
            bodies.ran.append("a handler of the author's")

    async def delete_later(event: Any) -> None:
        delete(event)

    class Gone(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            if place == "run":
                delete(event)
            await step.do("delete", delete if place == "a step" else delete_later, event)
            await step.do("after", bodies("after"))

    class BlockingGone(WorkflowEntrypoint):
        def run(self, event: Any, step: Any) -> None:
            step.do("before", lambda: None)
            delete(event)
            step.do("after", bodies("after"))

    instance = _run(both, BlockingGone if place == "a blocking run" else Gone)
    with pytest.raises(InstanceNotFound):
        instance.status()
    assert bodies.ran == []
    assert both.bench.rows("SELECT * FROM @instances") == []


def test_a_step_may_delete_another_instance_and_goes_on(both: Both) -> None:
    class Cleaner(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            if event.payload == "old":
                return await step.sleep("wait", "1 day")
            return await step.do("clean", lambda: str(both.remote.workflow("cleaner").get("old").delete()))

    _run(both, Cleaner, "old", id="old")
    assert _run(both, Cleaner, "new").result(timeout=0) == "None"


def test_a_step_may_delete_one_of_its_own_name_elsewhere_and_goes_on(both: Both, bodies: Bodies) -> None:
    """Two services may each have an instance of that name; the one that was made at another time is another."""

    class Twin(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            def replace() -> None:
                contextvars.Context().run(both.local.workflow(Twin).get("twin").delete)  # as if somebody else did it
                both.bench.clock.advance(1)
                both.local.workflow(Twin).create(id="twin")
                both.remote.workflow("twin").get("twin").delete()
                bodies.ran.append("the line after")

            await step.do("replace", replace)

    _run(both, Twin, id="twin")
    assert bodies.ran == ["the line after"]


def _run(both: Both, workflow: type[WorkflowEntrypoint[Any]], *params: Any, id: str | None = None) -> Instance:
    both.bench.registry.add(workflow)
    register(both.bench.runtime)
    return both.bench.run(workflow, *params, id=id)
