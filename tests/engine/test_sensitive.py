"""An output that is declared sensitive is handed on as it is and never shown; errors are shown."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pydantic import BaseModel

from orchestrator import NonRetryableError, WorkflowEntrypoint
from tests.engine.bench import Bench, steps_of

SECRET = "token-4711"


class Login(WorkflowEntrypoint):
    async def run(self, event: Any, step: Any) -> Any:
        @step.do("log in", sensitive="output")
        async def token() -> str:
            return SECRET

        got = await token()
        await step.sleep("nap", "1 minute")
        return await step.do("use", {"sensitive": "output"}, lambda given: [given == SECRET, given], got)


@pytest.mark.cloudflare(26)
def test_it_is_shown_nowhere_and_handed_on_as_it_is(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        instance = bench.run(Login)
        bench.restart_process()
        bench.after("1 minute")
        assert instance.result(timeout=0) == [True, SECRET]
        for run in (1, 2):
            detail = instance.describe(run=run)
            assert [step.output for step in detail.steps] == ["[REDACTED]", None, "[REDACTED]"]
            assert detail.steps[0].config is not None
            assert detail.steps[0].config["sensitive"] == "output"
            assert SECRET not in repr(detail.steps)
            if run == 1:
                instance.restart(from_={"name": "use"})
                bench.work()
        assert instance.result(timeout=0) == [True, SECRET]
    assert SECRET not in caplog.text


def test_the_output_of_the_instance_is_its_own_affair(bench: Bench) -> None:
    instance = bench.run(Login)
    bench.after("1 minute")
    assert instance.status().output == instance.describe().output == [True, SECRET]


def test_what_was_declared_when_it_ran_counts(bench: Bench) -> None:
    config: dict[str, Any] = {"sensitive": "output"}

    class Changing(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            await step.do("a", config, lambda: SECRET)
            await step.sleep("nap", "1 minute")

    instance = bench.run(Changing)
    config.clear()
    bench.restart_process()
    bench.after("1 minute")
    assert steps_of(instance)["a-1"].output == "[REDACTED]"


@pytest.mark.cloudflare(26)
def test_errors_are_shown(bench: Bench) -> None:
    class Refused(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            def refuse() -> str:
                raise NonRetryableError("the card was declined")

            return await step.do("charge", refuse, sensitive="output")

    instance = bench.run(Refused)
    assert steps_of(instance)["charge-1"].error == {"name": "NonRetryableError", "message": "the card was declined"}
    assert steps_of(instance)["charge-1"].output is None


def test_a_value_that_does_not_fit_its_annotation_is_not_told_in_the_error(bench: Bench) -> None:
    class Token(BaseModel):
        value: str

    class Wrong(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            def get() -> Token:
                return Token.model_construct(value=[SECRET])  # type: ignore[arg-type]

            return await step.do("get", get, sensitive="output")

    instance = bench.run(Wrong)
    assert instance.status().status == "errored"
    assert SECRET not in str(instance.status().error)


def test_a_step_without_an_output_shows_none(bench: Bench) -> None:
    class Nothing(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            await step.wait_for_event("wait", "sensitive", timeout="1 hour")

    instance = bench.run(Nothing)
    instance.send_event("sensitive", "shown")
    bench.work()
    assert steps_of(instance)["wait-1"].output["payload"] == "shown"
