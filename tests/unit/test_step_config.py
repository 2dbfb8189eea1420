"""A step's configuration: merged over the defaults, shown as it was written, and refused with the option that is wrong."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.authoring.policy import DEFAULT_CONFIG, parse_config, stored_config
from orchestrator.errors import InvalidStepConfig

RETRIES = {"limit": 3, "delay": "30 seconds"}


@pytest.mark.cloudflare(7)
def test_the_defaults_are_five_retries_from_ten_seconds_and_ten_minutes() -> None:
    assert DEFAULT_CONFIG.retries.limit == 5
    assert DEFAULT_CONFIG.retries.delay_ms == 10_000
    assert DEFAULT_CONFIG.retries.backoff == "exponential"
    assert DEFAULT_CONFIG.timeout_ms == 600_000
    assert DEFAULT_CONFIG.queue is None
    assert DEFAULT_CONFIG.to_dict() == {
        "retries": {"limit": 5, "delay": 10_000, "backoff": "exponential"},
        "timeout": "10 minutes",
    }


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({}, {"retries": {"limit": 5, "delay": 10_000, "backoff": "exponential"}, "timeout": "10 minutes"}),
        ({"retries": RETRIES}, {"retries": {**RETRIES, "backoff": "exponential"}, "timeout": "10 minutes"}),
        ({"timeout": 5}, {"retries": {"limit": 5, "delay": 10_000, "backoff": "exponential"}, "timeout": 5}),
        (
            {"retries": {**RETRIES, "backoff": "linear", "max_delay": "1 hour", "jitter": 0.5}, "queue": "gpu"},
            {
                "retries": {**RETRIES, "backoff": "linear", "max_delay": "1 hour", "jitter": 0.5},
                "timeout": "10 minutes",
                "queue": "gpu",
            },
        ),
    ],
)
@pytest.mark.cloudflare(8)
def test_a_config_is_merged_over_the_defaults_and_keeps_the_authors_spelling(given: Any, shown: Any) -> None:
    assert parse_config("charge", given).to_dict() == shown


@pytest.mark.parametrize(
    ("given", "limit", "delay_ms", "timeout_ms"),
    [
        ({"retries": {"limit": 0, "delay": 0}}, 0, 0, 600_000),
        ({"retries": {"limit": 10_000, "delay": "365 days"}}, 10_000, 31_536_000_000, 600_000),
        ({"retries": {"limit": math.inf, "delay": 1}}, math.inf, 1, 600_000),
        ({"retries": {"limit": 1, "delay": timedelta(minutes=1, seconds=1)}, "timeout": 1}, 1, 61_000, 1),
        ({"retries": None, "timeout": timedelta(days=1, hours=2, minutes=30), "queue": None}, 5, 10_000, 95_400_000),
    ],
)
def test_what_was_stored_reads_back_as_it_was(given: Any, limit: float, delay_ms: int, timeout_ms: int) -> None:
    parsed = parse_config("charge", given)

    for config in (parsed, stored_config(parsed.shown)):
        assert config.retries.limit == limit
        assert config.retries.delay_ms == delay_ms
        assert config.timeout_ms == timeout_ms
    assert stored_config(parsed.shown).retries == parsed.retries


def test_nothing_stored_means_the_defaults() -> None:
    assert stored_config(None) is DEFAULT_CONFIG


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        # reference: the strict object
        ({"retries": {"limit": 3}}, "retries must contain both limit and delay, and delay is missing"),
        ({"retries": {"delay": 5}}, "retries must contain both limit and delay, and limit is missing"),
        ({"retries": {"backoff": "linear"}}, "retries must contain both limit and delay, and limit is missing"),
        ({"retries": {}}, "retries must contain both limit and delay"),
        ({"unknown": 1}, "unknown option 'unknown'; known: retries, timeout, queue, sensitive"),
        ({"retries": {**RETRIES, "unknown": 1}}, "unknown retries option 'unknown'; known: limit, delay, backoff"),
        ({"retries": {**RETRIES, "delay": "i like trains"}}, "Invalid retries.delay 'i like trains'"),
        ({"timeout": 0}, "timeout must be longer than 0, not 0"),
        ({"timeout": "0 seconds"}, "timeout must be longer than 0, not '0 seconds'"),
        ({"timeout": "0.0001 seconds"}, "timeout must be longer than 0"),
        # spelling
        ({"retry": RETRIES}, "did you mean 'retries'?"),
        ({"timeouts": 5}, "did you mean 'timeout'?"),
        ({"retries": {**RETRIES, "maxDelay": 5}}, "did you mean 'max_delay'?"),
        # kinds and ranges
        ({"retries": 3}, "retries must be a mapping such as {'limit': 3, 'delay': '30 seconds'}, not 3"),
        ({"retries": {**RETRIES, "limit": -1}}, "retries.limit must be a number of at least 0, not -1"),
        ({"retries": {**RETRIES, "limit": "3"}}, "retries.limit must be a number of at least 0, not '3'"),
        ({"retries": {**RETRIES, "limit": True}}, "retries.limit must be a number of at least 0, not True"),
        ({"retries": {**RETRIES, "limit": math.nan}}, "retries.limit must be a number of at least 0, not nan"),
        ({"retries": {**RETRIES, "limit": 10_001}}, "retries.limit may be at most 10,000 (or infinity), not 10001"),
        ({"retries": {**RETRIES, "limit": 10**400}}, "retries.limit may be at most 10,000 (or infinity)"),
        ({"retries": {**RETRIES, "delay": -1}}, "Invalid retries.delay -1"),
        ({"retries": {**RETRIES, "delay": math.nan}}, "Invalid retries.delay nan"),
        ({"retries": {**RETRIES, "delay": None}}, "Invalid retries.delay None"),
        ({"retries": {**RETRIES, "delay": "[dynamic]"}}, "Invalid retries.delay"),
        ({"sensitive": "all"}, "sensitive may only be 'output', not 'all'"),
        ({"sensitive": True}, "sensitive may only be 'output', not True"),
        ({"retries": {**RETRIES, "backoff": "quadratic"}}, "must be constant, linear or exponential, not 'quadratic'"),
        ({"retries": {**RETRIES, "backoff": None}}, "must be constant, linear or exponential, not None"),
        ({"retries": {**RETRIES, "max_delay": "5 apples"}}, "Invalid retries.max_delay '5 apples'"),
        ({"retries": {**RETRIES, "jitter": 1.1}}, "retries.jitter must be a number from 0 to 1, not 1.1"),
        ({"retries": {**RETRIES, "jitter": -0.1}}, "retries.jitter must be a number from 0 to 1, not -0.1"),
        ({"retries": {**RETRIES, "jitter": True}}, "retries.jitter must be a number from 0 to 1, not True"),
        ({"retries": {**RETRIES, "jitter": "half"}}, "retries.jitter must be a number from 0 to 1, not 'half'"),
        ({"timeout": "5 apples"}, "Invalid timeout '5 apples'"),
        ({"timeout": None}, "Invalid timeout None"),
        ({"timeout": -5}, "Invalid timeout -5"),
        ({"queue": 5}, "queue must be a name of 1 to 128 characters, not 5"),
        ({"queue": ""}, "queue must be a name of 1 to 128 characters, not ''"),
        ({"queue": "a\0"}, "queue must be a name of 1 to 128 characters, not 'a\\x00'"),
        ({"queue": "\ud800"}, "queue must be a name of 1 to 128 characters"),
        ({"queue": "q" * 129}, "queue must be a name of 1 to 128 characters"),
    ],
)
@pytest.mark.cloudflare(35)
def test_a_config_that_is_wrong_names_the_step_and_the_option(config: Any, reason: str) -> None:
    with pytest.raises(InvalidStepConfig) as caught:
        parse_config("charge", config)

    assert str(caught.value).startswith('Step config for "charge" is in a invalid format: ')
    assert reason in str(caught.value)
    assert caught.value.code == "step.invalid_config"
