"""A failed attempt is followed by another one, by the step's own policy, until it succeeds or the policy is used up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orchestrator import NonRetryableError, WorkflowEntrypoint
from tests.engine.bench import Bench, Failing, steps_of


def one_step(body: Any, config: dict[str, Any] | None = None) -> type[WorkflowEntrypoint[Any]]:
    class OneStep(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            return await step.do("charge", config or {}, body)

    return OneStep


@pytest.mark.parametrize(
    ("backoff", "delays_s"),
    [("constant", [10, 10, 10]), ("linear", [10, 20, 30]), ("exponential", [10, 20, 40]), (None, [10, 20, 40])],
)
@pytest.mark.cloudflare(3)
def test_the_next_attempt_runs_when_its_delay_has_passed_and_not_before(
    bench: Bench, backoff: str | None, delays_s: list[int]
) -> None:
    body = Failing(times=3)
    retries = {"limit": 3, "delay": "10 seconds"} | ({"backoff": backoff} if backoff else {})
    instance = bench.run(one_step(body, {"retries": retries}))
    for attempts, delay_s in enumerate(delays_s, start=1):
        assert (instance.status().status, body.attempts) == ("waiting", attempts)
        bench.after(delay_s * 1000 - 1)
        assert body.attempts == attempts
        bench.after(1)
    assert (instance.result(timeout=0), body.attempts) == ("done", 4)


def test_without_a_policy_a_step_is_tried_six_times_over_310_seconds(bench: Bench) -> None:
    body = Failing()
    instance = bench.run(one_step(body))
    for delay_s in (10, 20, 40, 80):
        bench.after(f"{delay_s} seconds")
    bench.after(160_000 - 1)
    assert (instance.status().status, body.attempts) == ("waiting", 5)
    bench.after(1)
    assert (instance.status().status, body.attempts) == ("errored", 6)


def test_a_limit_is_of_retries_so_that_zero_means_one_attempt(bench: Bench) -> None:
    body = Failing()
    instance = bench.run(one_step(body, {"retries": {"limit": 0, "delay": 0}}))
    assert (instance.status().status, body.attempts) == ("errored", 1)


def test_without_a_delay_the_next_attempt_follows_at_once(bench: Bench) -> None:
    body = Failing(times=4)
    instance = bench.run(one_step(body, {"retries": {"limit": 4, "delay": 0}}))
    assert (instance.result(timeout=0), body.attempts) == ("done", 5)


@pytest.mark.parametrize("colour", ["def", "async def"])
@pytest.mark.cloudflare(2, 5)
def test_the_body_is_told_its_attempt_and_one_idempotency_key_for_all_of_them(bench: Bench, colour: str) -> None:
    seen: list[Any] = []

    def charge(ctx: Any) -> str:
        seen.append(ctx)
        if ctx.attempt < 3:
            raise OSError("line is busy")
        return ctx.idempotency_key

    async def charge_later(ctx: Any) -> str:
        return charge(ctx)

    config = {"retries": {"limit": 2, "delay": "1 minute", "backoff": "constant"}, "timeout": "2 minutes"}
    instance = bench.run(one_step(charge if colour == "def" else charge_later, config))
    bench.restart_process()
    bench.after("1 minute")
    bench.after("1 minute")
    assert [ctx.attempt for ctx in seen] == [1, 2, 3]
    assert {ctx.idempotency_key for ctx in seen} == {instance.result(timeout=0)}
    assert {(ctx.step.name, ctx.step.count, ctx.instance_id) for ctx in seen} == {("charge", 1, instance.id)}
    assert seen[2].config == config
    assert [attempt.status for attempt in steps_of(instance)["charge-1"].attempt_log] == [
        "errored", "errored", "complete",
    ]  # fmt: skip


@pytest.mark.cloudflare(9)
def test_a_body_that_changes_its_configuration_changes_nothing(bench: Bench) -> None:
    attempts = []

    def greedy(ctx: Any) -> None:
        attempts.append(ctx.attempt)
        ctx.config["retries"]["limit"] = 100
        raise ValueError("no")

    instance = bench.run(one_step(greedy, {"retries": {"limit": 1, "delay": 0}}))
    assert instance.status().status == "errored"
    assert attempts == [1, 2]


@pytest.mark.cloudflare(10, 11)
def test_a_non_retryable_error_is_the_last_attempt(bench: Bench) -> None:
    body = Failing(error=lambda: NonRetryableError("card declined"))
    instance = bench.run(one_step(body, {"retries": {"limit": 5, "delay": 0}}))
    assert body.attempts == 1
    assert instance.status().error == {"name": "NonRetryableError", "message": "card declined"}


def test_a_non_retryable_error_that_was_caught_is_caught_again_on_replay_without_running_the_step(bench: Bench) -> None:
    body = Failing(error=lambda: NonRetryableError("card declined", "Declined"))

    class Careful(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            try:
                await step.do("charge", body)
            except NonRetryableError as error:
                await step.sleep("think", "1 hour")
                return f"{error.name}: {error}"
            return "charged"

    instance = bench.run(Careful)
    bench.restart_process()
    bench.after("1 hour")
    assert instance.result(timeout=0) == "Declined: card declined"
    assert body.attempts == 1


def test_an_exhausted_step_throws_its_last_error_again_on_replay_without_running(bench: Bench) -> None:
    body = Failing(error=lambda: ConnectionResetError("gone away"))

    class Careful(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            try:
                await step.do("charge", body, retries={"limit": 1, "delay": 0})
            except ConnectionResetError as error:
                await step.sleep("think", "1 hour")
                return str(error)
            return "charged"

    instance = bench.run(Careful)
    bench.restart_process()
    bench.after("1 hour")
    assert instance.result(timeout=0) == "gone away"
    assert body.attempts == 2
    assert steps_of(instance)["charge-1"].error == {"name": "ConnectionResetError", "message": "gone away"}


def test_the_policy_of_the_first_run_stays_whatever_the_code_says_later(bench: Bench) -> None:
    body = Failing()
    policy: dict[str, Any] = {"retries": {"limit": 2, "delay": timedelta(hours=1, minutes=2, milliseconds=3)}}
    policy["retries"]["backoff"] = "constant"

    class Changing(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            return await step.do("charge", policy, body)

    instance = bench.run(Changing)
    policy = {"retries": {"limit": 0, "delay": 0}}
    bench.restart_process()
    bench.after(3_720_003 - 1)
    assert body.attempts == 1
    bench.after(1)
    assert (instance.status().status, body.attempts) == ("waiting", 2)
    bench.after(3_720_003 - 1)
    assert body.attempts == 2
    bench.after(1)
    assert (instance.status().status, body.attempts) == ("errored", 3)


def test_a_retry_that_is_due_while_nobody_is_there_runs_when_somebody_comes(bench: Bench) -> None:
    body = Failing(times=1)
    instance = bench.run(one_step(body, {"retries": {"limit": 1, "delay": "1 minute"}}))
    bench.restart_process()
    bench.after("10 days")
    assert (instance.result(timeout=0), body.attempts) == ("done", 2)


@pytest.mark.parametrize("colour", ["def", "async def"])
def test_whatever_a_body_raises_fails_its_attempt_and_not_the_worker(bench: Bench, colour: str) -> None:
    class Odd(BaseException):
        pass

    def leave() -> None:
        raise Odd("bye")

    async def leave_later() -> None:
        raise Odd("bye")

    instance = bench.run(one_step(leave if colour == "def" else leave_later, {"retries": {"limit": 0, "delay": 0}}))
    assert instance.status().error is not None
    assert instance.status().error["message"] == "bye"


def test_an_error_whose_message_is_no_valid_text_is_stored_all_the_same(bench: Bench) -> None:
    body = Failing(error=lambda: FileNotFoundError("no such file: caf\udce9.txt\x00"))
    instance = bench.run(one_step(body, {"retries": {"limit": 1, "delay": 0}}))
    error = instance.status().error
    assert body.attempts == 2
    assert error is not None
    assert error["name"] == "FileNotFoundError"
    assert error["message"].startswith("no such file: caf")
