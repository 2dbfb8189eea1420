"""What authors get wrong on `step`: each ends its instance with an error of ours, told alike wherever one looks."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from click.testing import CliRunner

from orchestrator import WorkflowEntrypoint, errors
from orchestrator.cli import root
from orchestrator.engine.host import register
from orchestrator.remote import RemoteClient
from tests.bad_input.world import World

RETRIES = {"limit": 3, "delay": 1}


def _returned(value: Any) -> Callable[[Any], Any]:
    return lambda step: step.do("x", lambda: value)


def _configured(config: Any) -> Callable[[Any], Any]:
    return lambda step: step.do("x", config, lambda: 1)


def _circle() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


NO_CALLBACK = 'Step "x" requires a callback function: `await step.do("x", fn)`'
MISTAKES: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    # what: code, words, call
    "a name alone": ("fatal", NO_CALLBACK, lambda step: step.do("x")),
    "no callback": ("fatal", NO_CALLBACK, lambda step: step.do("x", None)),
    "a configuration alone": ("fatal", NO_CALLBACK, lambda step: step.do("x", {"timeout": 5})),
    "no callback after a configuration": ("fatal", NO_CALLBACK, lambda step: step.do("x", {"timeout": 5}, None)),
    "a callback that is a text": ("fatal", NO_CALLBACK, lambda step: step.do("x", "fn")),
    "a text after a configuration": ("fatal", NO_CALLBACK, lambda step: step.do("x", {"timeout": 5}, "fn")),
    "a callback in a list": ("fatal", NO_CALLBACK, lambda step: step.do("x", [len])),
    "a text that is decorated": ("fatal", NO_CALLBACK, lambda step: step.do("x")("fn")),
    "a step of no name": ("step.invalid_name", "invalid characters", lambda step: step.do("", len)),
    "a step that is called 5": ("step.invalid_name", '"5"', lambda step: step.do(5, len)),
    "a name that is too long": ("step.invalid_name", "max length (256 chars)", lambda step: step.do("x" * 257, len)),
    "a name with a line break": ("step.invalid_name", "invalid characters", lambda step: step.do("x\ny", len)),
    "half a character in a name": ("step.invalid_name", "invalid characters", lambda step: step.do("\ud800", len)),
    "an unknown option": ("step.invalid_config", "did you mean 'retries'", _configured({"retry": {}})),
    "an option that is no text": ("step.invalid_config", "unknown option 1", _configured({1: 2})),
    "retries without a delay": ("step.invalid_config", "delay is missing", _configured({"retries": {"limit": 3}})),
    "a delay of trains": (
        "step.invalid_config", "i like trains", _configured({"retries": {**RETRIES, "delay": "i like trains"}})
    ),
    "a delay too large for a float": (
        "step.invalid_config", "10,000 years", _configured({"retries": {**RETRIES, "delay": 10**400}})
    ),
    "a limit too large for a float": (
        "step.invalid_config", "at most 10,000", _configured({"retries": {**RETRIES, "limit": 10**400}})
    ),
    "a timeout of nothing": ("step.invalid_config", "longer than 0", _configured({"timeout": 0})),
    "all is sensitive": ("step.invalid_config", "only be 'output'", _configured({"sensitive": "all"})),
    "a queue with a NUL": ("step.invalid_config", "queue must be a name", _configured({"queue": "a\0"})),
    "a queue with half a character": ("step.invalid_config", "queue must be a name", _configured({"queue": "\ud800"})),
    "a rollback that is a text": (
        "step.invalid_config", "must be a function", lambda step: step.do("x", len, rollback="undo")
    ),
    "a function as the result": ("step.not_serializable", "not serialisable", _returned(len)),
    "a result that holds itself": ("step.not_serializable", "Circular reference", _returned(_circle())),
    "a result that is no number": ("step.not_serializable", "not serialisable", _returned(float("nan"))),
    "half a character as the result": ("step.not_serializable", "surrogates not allowed", _returned("\ud800")),
    "a sleep of less than nothing": ("invalid_duration", "not negative", lambda step: step.sleep("x", -1)),
    "a sleep of a while": ("invalid_duration", "can't read 'a while'", lambda step: step.sleep("x", "a while")),
    "a sleep too long for a float": ("invalid_duration", "10,000 years", lambda step: step.sleep("x", 10**400)),
    "a sleep of 366 days": ("invalid_duration", "365 days at most", lambda step: step.sleep("x", "366 days")),
    "a moment of no time zone": (
        "invalid_duration", "add one", lambda step: step.sleep_until("x", datetime(2030, 1, 1))  # noqa: DTZ001
    ),
    "a day as a moment": (
        "invalid_duration", "epoch milliseconds", lambda step: step.sleep_until("x", date(2030, 1, 1))
    ),
    "a type with a space": (
        "workflow.invalid_event_type", "1 to 100 letters", lambda step: step.wait_for_event("x", "a b")
    ),
    "a type in an object": (
        "workflow.invalid_event_type", "1 to 100 letters", lambda step: step.wait_for_event("x", {"type": "a"})
    ),
    "a wait of no time": (
        "invalid_duration", "at least 1 second", lambda step: step.wait_for_event("x", "a", timeout=0)
    ),
}  # fmt: skip


class Mistaken(WorkflowEntrypoint):
    async def run(self, event: Any, step: Any) -> Any:
        return await MISTAKES[event.payload][2](step)


class Forgiving(WorkflowEntrypoint):
    async def run(self, event: Any, step: Any) -> Any:
        try:
            await MISTAKES[event.payload][2](step)
        except errors.OrchestratorError as error:
            return error.code


class Blocking(WorkflowEntrypoint):
    def run(self, event: Any, step: Any) -> Any:
        return MISTAKES[event.payload][2](step)


@pytest.fixture(scope="module", autouse=True)
def _registered(world: World) -> None:
    for workflow in (Mistaken, Forgiving, Blocking):
        world.bench.registry.add(workflow)
    register(world.bench.runtime)


@pytest.mark.parametrize("what", MISTAKES)
def test_each_is_an_error_of_ours_that_is_told_alike_through_every_way_in(
    world: World, remote: RemoteClient, url: str, what: str
) -> None:
    code, words, _ = MISTAKES[what]
    instance = world.bench.run(Mistaken, what)
    state = instance.status()
    assert state.status == "errored"
    assert state.error is not None
    assert getattr(errors, state.error["name"]).code == code
    assert words in state.error["message"]

    assert remote.workflow("mistaken").get(instance.id).status().error == state.error
    path = f"/workflows/mistaken/instances/{instance.id}"
    assert world.http.get(f"/api/v1{path}").get_json()["error"] == state.error
    theirs = world.http.get(f"/client/v4/accounts/any{path}").get_json()["result"]
    assert theirs["error"] == state.error
    shown = CliRunner().invoke(
        root,
        ["instances", "describe", "mistaken", instance.id, "--json"],
        env={"ORCHESTRATOR_API_URL": url},
        catch_exceptions=False,
    )
    assert json.loads(shown.stdout)["error"] == state.error


@pytest.mark.parametrize("what", [what for what, (code, _, _) in MISTAKES.items() if code != "step.not_serializable"])
def test_each_can_be_caught_where_it_is_made(world: World, what: str) -> None:
    assert world.bench.run(Forgiving, what).result(timeout=0) == MISTAKES[what][0]


@pytest.mark.parametrize(
    "what",
    ["no callback", "no callback after a configuration", "a callback that is a text", "a text that is decorated"],
)
def test_a_blocking_workflow_is_told_of_a_callback_that_is_none(world: World, what: str) -> None:
    error = world.bench.run(Blocking, what).status().error
    assert error is not None
    assert error["message"].startswith(NO_CALLBACK)
