"""A function may say how long to wait before the next attempt: asked once per failed attempt, for five seconds at most."""

from __future__ import annotations

import asyncio
import re
import threading
from datetime import timedelta
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.engine import delays, pump
from orchestrator.errors import NonRetryableDelayError
from tests.engine.bench import Bench, Failing, steps_of


def retried(delay: Any, body: Any, limit: int = 3, **retries: Any) -> type[WorkflowEntrypoint[Any]]:
    class Retried(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            given = {"limit": limit, "delay": delay, "backoff": "constant", **retries}
            return await step.do("charge", {"retries": given}, body)

    return Retried


class Asked:
    """A delay function that remembers what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.by: list[tuple[int, BaseException]] = []
        self._answers = answers

    def __call__(self, ctx: Any, error: Exception) -> Any:
        self.by.append((ctx.attempt, error))
        answer = self._answers[min(len(self.by), len(self._answers)) - 1]
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.mark.parametrize("answer", [50, "50 milliseconds", timedelta(milliseconds=50)])
@pytest.mark.parametrize("colour", ["def", "async def", "returns an awaitable"])
@pytest.mark.cloudflare(14, 17)
def test_the_next_attempt_runs_after_the_delay_that_the_function_gives(bench: Bench, colour: str, answer: Any) -> None:
    asked = Asked(answer)

    async def later(ctx: Any, error: Exception) -> Any:
        await asyncio.sleep(0)
        return asked(ctx, error)

    function = {"def": asked, "async def": later, "returns an awaitable": lambda *given: later(*given)}[colour]
    body = Failing(times=1, error=lambda: ConnectionResetError("gone away"))
    instance = bench.run(retried(function, body))
    assert (instance.status().status, body.attempts) == ("waiting", 1)
    bench.after(49)
    assert body.attempts == 1
    bench.after(1)
    assert (instance.result(timeout=0), body.attempts) == ("done", 2)
    ((attempt, error),) = asked.by
    assert (attempt, type(error), str(error)) == (1, ConnectionResetError, "gone away")


@pytest.mark.parametrize(
    ("retries", "waits_s"),
    [
        ({"backoff": "linear"}, [1, 4, 9]),
        ({"backoff": "exponential"}, [1, 4, 12]),
        ({"max_delay": "2 seconds"}, [1, 2, 2]),
    ],
    ids=str,
)
def test_what_it_gives_grows_with_the_backoff_and_is_capped_like_any_delay(
    bench: Bench, retries: dict[str, Any], waits_s: list[int]
) -> None:
    asked, body = Asked("1 second", "2 seconds", "3 seconds"), Failing(times=3)
    instance = bench.run(retried(asked, body, **retries))
    for attempts, wait_s in enumerate(waits_s, start=1):
        bench.after(wait_s * 1000 - 1)
        assert body.attempts == attempts
        bench.after(1)
    assert instance.result(timeout=0) == "done"
    assert [attempt for attempt, _ in asked.by] == [1, 2, 3]


def test_it_is_not_asked_when_there_is_no_further_attempt(bench: Bench) -> None:
    asked, body = Asked(0), Failing()
    instance = bench.run(retried(asked, body, limit=2))
    assert instance.status().status == "errored"
    assert (body.attempts, len(asked.by)) == (3, 2)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ValueError("boom"), "threw an error: boom"),
        (SystemExit("leave"), "threw an error: leave"),
        *(
            (
                answer,
                r'returned an invalid delay value \(expected a number of ms or a duration string like "30 seconds"\)',
            )
            for answer in (-1, float("nan"), float("inf"), "soon", None, True, [])
        ),
    ],
    ids=repr,
)
@pytest.mark.cloudflare(15, 17)
def test_a_function_that_gives_no_delay_fails_the_step_at_once(bench: Bench, answer: Any, reason: str) -> None:
    body = Failing()
    caught: list[Exception] = []

    class Careful(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            try:
                await step.do("charge", {"retries": {"limit": 3, "delay": Asked(answer)}}, body)
            except NonRetryableDelayError as error:
                caught.append(error)
                await step.sleep("think", "1 hour")
                raise

    instance = bench.run(Careful)
    bench.restart_process()
    bench.after("1 hour")
    error = instance.status().error
    assert error is not None
    assert error["name"] == "NonRetryableDelayError"
    assert re.fullmatch(f'The delay function for step "charge-1" {reason}', error["message"])
    assert [str(one) for one in caught] == [error["message"]] * 2
    assert body.attempts == 1
    step = steps_of(instance)["charge-1"]
    assert (step.status, step.attempts, step.error) == ("errored", 1, error)
    assert [attempt.error for attempt in step.attempt_log] == [{"name": "ValueError", "message": "no"}]


@pytest.mark.parametrize("colour", ["def", "async def"])
@pytest.mark.cloudflare(17)
def test_one_that_does_not_return_in_time_fails_the_step(
    bench: Bench, colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delays, "LIMIT_S", 0.05)
    end = threading.Event()

    async def never(ctx: Any, error: Exception) -> None:
        await asyncio.Event().wait()

    function = never if colour == "async def" else lambda ctx, error: end.wait(30)
    instance = bench.run(retried(function, Failing()))
    end.set()
    assert instance.status().error == {
        "name": "NonRetryableDelayError",
        "message": 'The delay function for step "charge-1" did not return within 0.05 seconds',
    }


def test_the_limit_is_five_seconds() -> None:
    assert delays.LIMIT_S == 5


@pytest.mark.cloudflare(16)
def test_the_stored_configuration_says_that_the_delay_is_dynamic_and_ctx_does_not_have_it(bench: Bench) -> None:
    seen: list[dict[str, Any]] = []

    def body(ctx: Any) -> None:
        seen.append(ctx.config)
        if len(seen) < 2:
            raise ValueError("no")

    instance = bench.run(retried(Asked(0), body))
    assert instance.status().status == "complete"
    assert [config["retries"] for config in seen] == [{"limit": 3, "backoff": "constant"}] * 2
    shown = steps_of(instance)["charge-1"].config
    assert shown is not None
    assert shown["retries"] == {"limit": 3, "delay": "[dynamic]", "backoff": "constant"}


def test_a_static_policy_of_the_first_run_stays_and_a_function_that_is_gone_means_one_second(bench: Bench) -> None:
    policies: dict[str, Any] = {"static": 60_000, "dynamic": lambda ctx, error: 7}
    bodies = {name: Failing(times=2) for name in policies}

    class Changing(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            def retry(name: str) -> Any:
                return {"retries": {"limit": 3, "delay": policies[name], "backoff": "constant"}}

            return await asyncio.gather(*(step.do(name, retry(name), bodies[name]) for name in policies))

    bench.run(Changing)
    assert [timer.due_at - bench.clock.now_ms() for timer in bench.rows("SELECT due_at FROM @timers ORDER BY key")] == [
        7, 60_000,
    ]  # fmt: skip
    policies.update(static=lambda ctx, error: 7, dynamic=60_000)
    bench.restart_process()
    bench.after(7)
    assert [timer.due_at - bench.clock.now_ms() for timer in bench.rows("SELECT due_at FROM @timers ORDER BY key")] == [
        1000, 60_000 - 7,
    ]  # fmt: skip
    bench.after(60_000)
    assert bodies["static"].attempts == 2
    bench.after(60_000)
    assert bodies["static"].attempts == 3


@pytest.mark.cloudflare(17)
def test_whoever_takes_over_from_a_worker_that_died_before_the_answer_asks_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, body = Asked(5000), Failing(times=1)
    dead = bench.worker(registry=bench.registry)
    bench.beat(dead)
    instance = bench.create(retried(asked, body))

    class Died(BaseException):
        pass

    def die(*given: Any) -> None:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(delays.Delays, "ask", die)
        with pytest.raises(Died):
            bench.work(dead)
    assert steps_of(instance)["charge-1"].attempt_log[0].status == "errored"
    bench.clock.advance("1 minute")
    pump.tick(bench.runtime)
    bench.work()
    assert (instance.result(timeout=0), body.attempts, len(asked.by)) == ("done", 2, 1)


def test_other_steps_of_the_instance_go_on_while_it_is_asked(bench: Bench) -> None:
    other_has_run = threading.Event()

    def wait_for_the_other(ctx: Any, error: Exception) -> int:
        return 0 if other_has_run.wait(4) else 10**9

    class Two(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            async def slow() -> str:
                await asyncio.sleep(0.05)
                return "slow"

            async def chain() -> Any:
                await step.do("slow", slow)
                return await step.do("other", other_has_run.set)

            policy = {"retries": {"limit": 1, "delay": wait_for_the_other}}
            return await asyncio.gather(step.do("charge", policy, Failing(times=1)), chain())

    assert bench.run(Two).result(timeout=0) == ["done", None]


def test_a_step_that_was_given_up_meanwhile_is_not_waited_for(bench: Bench) -> None:
    end = threading.Event()

    class Race(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            async def quick() -> str:
                await asyncio.sleep(0.05)
                return "quick"

            policy = {"retries": {"limit": 1, "delay": lambda ctx, error: end.wait(30)}}
            charge = asyncio.ensure_future(step.do("charge", policy, Failing()))
            found = await step.do("quick", quick)
            charge.cancel()
            await step.sleep("nap", "1 minute")
            return found

    instance = bench.run(Race)
    assert instance.status().status == "waiting"
    end.set()
    bench.after("1 minute")
    assert instance.result(timeout=0) == "quick"


def test_a_shared_attempt_that_failed_elsewhere_is_asked_about_by_the_holder(bench: Bench) -> None:
    asked, body = Asked(0), Failing(times=1)

    class Render(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            policy = {"retries": {"limit": 1, "delay": asked}, "queue": "gpu"}
            return await step.do("render", policy, body)

    instance = bench.run(Render)
    gpu = bench.worker(registry=bench.registry, queues=("gpu",))
    bench.work(gpu)
    bench.work()
    bench.work(gpu)
    bench.work()
    assert (instance.result(timeout=0), len(asked.by)) == ("done", 1)


def test_a_blocking_workflow_may_have_one_too(bench: Bench) -> None:
    body = Failing(times=1)

    class Blocking(WorkflowEntrypoint):
        def run(self, event: Any, step: Any) -> Any:
            return step.do("charge", body, retries={"limit": 1, "delay": lambda ctx, error: "1 minute"})

    instance = bench.run(Blocking)
    bench.after("1 minute")
    assert instance.result(timeout=0) == "done"
