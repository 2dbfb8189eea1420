"""A workflow as one writes it for Cloudflare's Python SDK, its two import lines changed and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

# was: from workers import WorkflowEntrypoint
# was: from workers.workflows import NonRetryableError
from orchestrator import NonRetryableError, WorkflowEntrypoint
from orchestrator.authoring.views import StepContext, StepInfo
from tests.replay.play import Play


class OnboardingWorkflow(WorkflowEntrypoint):
    async def run(self, event, step):  # type: ignore[no-untyped-def]
        user = event["payload"]["user"]

        @step.do("fetch profile")
        async def fetch_profile():  # type: ignore[no-untyped-def]
            return {"name": user, "instance": event["instanceId"], "workflow": event["workflowName"]}

        @step.do(
            "fetch_plan",
            config={"retries": {"limit": 2, "delay": "5 seconds", "backoff": "linear"}, "timeout": "1 minute"},
        )
        async def fetch_plan(ctx):  # type: ignore[no-untyped-def]
            if ctx["attempt"] < 2:
                raise ConnectionError(f"{ctx['step']['name']} of {ctx['step']['count']}")
            return {"plan": "pro", "limit": ctx["config"]["retries"]["limit"]}

        @step.do("fetch_region")
        async def fetch_region():  # type: ignore[no-untyped-def]
            return "eu"

        @step.do("merge", depends=[fetch_profile, fetch_plan], concurrent=True)
        async def merge(profile, plan, ctx):  # type: ignore[no-untyped-def]
            return {**profile, **plan, "merged on attempt": ctx["attempt"]}

        merged = await merge()
        await step.sleep("settle", "10 seconds")

        @step.do(concurrent=True)
        async def greet(ctx, fetch_region):  # type: ignore[no-untyped-def]
            return f"hello {merged['name']} in {fetch_region}"

        greeting = await greet()
        reply = await step.wait_for_event("reply", "user-reply", timeout="1 hour")
        if reply["payload"] == "stop":
            raise NonRetryableError("the user does not want this")
        await step.sleep_until("next billing day", 1_900_000_000_000)
        return {"greeting": greeting, "reply": reply["payload"], "type": reply["type"], "plan": merged["plan"]}


def body(play: Play, label: str, attempt: int = 1) -> Any:
    """Run an `async def` body as a worker would."""
    command = play.step(label)
    context = StepContext(StepInfo(command.name, command.count), attempt, command.config.to_dict(), "key", "i", "w")
    extra = {"ctx": context} if command.signature.wants_ctx else {}
    return asyncio.run(command.fn(*command.args, **command.kwargs, **extra))


def played(reply: str) -> Play:
    play = Play(OnboardingWorkflow, payload={"user": "ann"})
    assert play.waits_for == ["do 'fetch profile-1'", "do 'fetch_plan-1'"]
    with pytest.raises(ConnectionError, match="fetch_plan of 1"):
        body(play, "fetch_plan-1")
    for label, attempt in (("fetch_plan-1", 2), ("fetch profile-1", 1), ("merge-1", 1)):
        play.answer(label, body(play, label, attempt))
    play.fire("settle-1")
    for label in ("fetch_region-1", "greet-1"):
        play.answer(label, body(play, label))
    play.send("reply-1", reply)
    return play


def test_it_is_registered_by_the_name_of_its_class() -> None:
    assert played("yes").run.definition.name == "onboarding-workflow"


def test_it_runs_to_its_end() -> None:
    play = played("yes")
    play.fire("next billing day-1")

    assert play.value == {"greeting": "hello ann in eu", "reply": "yes", "type": "user-reply", "plan": "pro"}
    assert Play(OnboardingWorkflow, play.journal, payload={"user": "ann"}).history() == play.history()


def test_its_merged_result_is_the_one_of_both_dependencies() -> None:
    merged = next(entry.result for entry in played("yes").journal if entry.key == "do:merge:1")
    assert merged == (
        '{"name":"ann","instance":"instance-1","workflow":"onboarding-workflow","plan":"pro","limit":2,'
        '"merged on attempt":1}'
    )


def test_its_own_refusal_ends_it_with_that_error() -> None:
    error = played("stop").error
    assert isinstance(error, NonRetryableError)
    assert str(error) == "the user does not want this"
