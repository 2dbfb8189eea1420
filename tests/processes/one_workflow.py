"""An application that knows one workflow, for a worker that meets instances of others."""

from __future__ import annotations

from orchestrator import WorkflowEntrypoint, WorkflowEvent, WorkflowStep


class Only(WorkflowEntrypoint[None]):
    async def run(self, event: WorkflowEvent[None], step: WorkflowStep) -> str:
        return await step.do("say so", lambda: "only this")
