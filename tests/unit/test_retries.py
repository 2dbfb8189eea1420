"""How long is waited after which attempt, and when there is no further one: one table for each."""

from __future__ import annotations

import math
from typing import Any

import pytest

from orchestrator.authoring.policy import DEFAULT_CONFIG, RetryPolicy, parse_config
from orchestrator.durations import MAX_MS
from orchestrator.engine.retries import GiveUp, Retry, after_failure
from orchestrator.errors import (
    InvalidStepConfig,
    NonRetryableError,
    NotSerializableError,
    PayloadTooLarge,
    StepTimeoutError,
    WorkerLostError,
)
from orchestrator.serialization import encode_error


@pytest.mark.parametrize(
    ("policy", "attempt", "delay_ms"),
    [
        # constant: d
        (RetryPolicy(delay_ms=500, backoff="constant"), 1, 500),
        (RetryPolicy(delay_ms=500, backoff="constant"), 2, 500),
        (RetryPolicy(delay_ms=500, backoff="constant"), 10_000, 500),
        # linear: d x n
        (RetryPolicy(delay_ms=500, backoff="linear"), 1, 500),
        (RetryPolicy(delay_ms=500, backoff="linear"), 2, 1_000),
        (RetryPolicy(delay_ms=500, backoff="linear"), 7, 3_500),
        # exponential: d x 2^(n-1)
        (RetryPolicy(delay_ms=500, backoff="exponential"), 1, 500),
        (RetryPolicy(delay_ms=500, backoff="exponential"), 2, 1_000),
        (RetryPolicy(delay_ms=500, backoff="exponential"), 5, 8_000),
        # the defaults: 10, 20, 40, 80, 160 seconds
        *[(RetryPolicy(), attempt, 10_000 * 2 ** (attempt - 1)) for attempt in range(1, 6)],
        # nothing stays nothing
        (RetryPolicy(delay_ms=0, backoff="exponential"), 40, 0),
        # no delay grows beyond what a date can hold
        (RetryPolicy(delay_ms=10_000, backoff="exponential"), 60, MAX_MS),
        (RetryPolicy(delay_ms=10_000, backoff="exponential"), 10_000, MAX_MS),
        (RetryPolicy(delay_ms=MAX_MS, backoff="linear"), 3, MAX_MS),
        (RetryPolicy(delay_ms=MAX_MS, backoff="exponential"), 10_000, MAX_MS),
        # max_delay caps each of them
        (RetryPolicy(delay_ms=500, backoff="constant", max_delay_ms=400), 1, 400),
        (RetryPolicy(delay_ms=500, backoff="linear", max_delay_ms=1_200), 2, 1_000),
        (RetryPolicy(delay_ms=500, backoff="linear", max_delay_ms=1_200), 3, 1_200),
        (RetryPolicy(delay_ms=500, backoff="exponential", max_delay_ms=60_000), 10_000, 60_000),
        (RetryPolicy(delay_ms=500, max_delay_ms=0), 1, 0),
    ],
)
def test_the_wait_after_a_failed_attempt(policy: RetryPolicy, attempt: int, delay_ms: int) -> None:
    assert policy.delay_after_ms(attempt) == delay_ms
    assert policy.delay_after_ms(attempt, lambda: 0.5) == delay_ms


@pytest.mark.parametrize(
    ("jitter", "chance", "delay_ms"),
    [(0.0, 0.9, 1_000), (0.5, 0.0, 1_000), (0.5, 0.5, 750), (0.5, 0.999, 500), (1.0, 0.999, 1), (1.0, 0.0, 1_000)],
)
def test_jitter_takes_a_random_part_of_the_wait_away(jitter: float, chance: float, delay_ms: int) -> None:
    policy = RetryPolicy(delay_ms=1_000, backoff="constant", jitter=jitter)

    assert policy.delay_after_ms(1, lambda: chance) == pytest.approx(delay_ms, abs=1)


def test_jitter_is_taken_from_what_max_delay_has_left() -> None:
    policy = RetryPolicy(delay_ms=1_000, max_delay_ms=2_000, jitter=0.5)

    assert policy.delay_after_ms(9, lambda: 0.5) == 1_500


def test_jitter_without_chance_is_none() -> None:
    assert RetryPolicy(delay_ms=1_000, jitter=1.0).delay_after_ms(1) == 1_000


@pytest.mark.parametrize(
    ("limit", "attempts"), [(0, 1), (1, 2), (5, 6), (2.5, 3), (10_000, 10_001)]
)  # fmt: skip
def test_the_limit_counts_the_attempts_after_the_first(limit: float, attempts: int) -> None:
    policy = RetryPolicy(limit=limit)

    assert policy.may_retry(attempts - 1) or attempts == 1
    assert not policy.may_retry(attempts)


def test_no_limit_is_no_limit() -> None:
    assert RetryPolicy(limit=math.inf).may_retry(10**9)


NO_RETRIES = parse_config("a", {"retries": {"limit": 0, "delay": 0}})


@pytest.mark.parametrize(
    ("error", "config", "attempt", "expected"),
    [
        (ValueError("no"), DEFAULT_CONFIG, 1, Retry(1_010_000)),
        (ValueError(""), DEFAULT_CONFIG, 5, Retry(1_160_000)),
        (ValueError("no"), DEFAULT_CONFIG, 6, GiveUp()),
        (ValueError("no"), NO_RETRIES, 1, GiveUp()),
        (StepTimeoutError.after(5), DEFAULT_CONFIG, 1, Retry(1_010_000)),
        (WorkerLostError(), DEFAULT_CONFIG, 1, Retry(1_010_000)),
        (PayloadTooLarge(), DEFAULT_CONFIG, 1, Retry(1_010_000)),
        (NonRetryableError("no"), DEFAULT_CONFIG, 1, GiveUp()),
        (NonRetryableError(""), DEFAULT_CONFIG, 1, GiveUp()),
        (NonRetryableError("no", "CardStolen"), DEFAULT_CONFIG, 1, GiveUp()),
        (NotSerializableError(), DEFAULT_CONFIG, 1, GiveUp()),
        (InvalidStepConfig(), DEFAULT_CONFIG, 1, GiveUp()),
    ],
)
def test_what_follows_a_failure_is_decided_by_the_error_and_the_policy(
    error: Exception, config: Any, attempt: int, expected: Any
) -> None:
    assert after_failure(config, attempt, encode_error(error), 1_000_000) == expected


def test_a_subclass_of_non_retryable_is_not_retried_either() -> None:
    class CardStolen(NonRetryableError):
        pass

    assert after_failure(DEFAULT_CONFIG, 1, encode_error(CardStolen("no")), 0) == GiveUp()
