"""How a step is retried and how long an attempt may take: parsed once, pure arithmetic after; it reads no clock."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any, Literal, NotRequired, TypedDict, get_args

from orchestrator.authoring.views import StepContext
from orchestrator.durations import MAX_MS, Duration, to_ms
from orchestrator.errors import InvalidDuration, InvalidStepConfig
from orchestrator.names import is_text

Backoff = Literal["constant", "linear", "exponential"]

DelayFunction = Callable[[StepContext, Exception], "Duration | Awaitable[Duration]"]

MAX_RETRIES = 10_000
DYNAMIC = "[dynamic]"
"""Stands in a stored configuration for a delay that a function gives."""
FALLBACK_DELAY_MS = 1000
"""Where a delay is stored as dynamic and the code has no function for it any more."""
MAX_QUEUE_NAME = 128
DEFAULT_RETRIES: dict[str, Any] = {"limit": 5, "delay": 10_000, "backoff": "exponential"}
DEFAULT_TIMEOUT = "10 minutes"


class RetriesDict(TypedDict):
    """`limit`: retries after the first attempt. `delay`: before the first retry, or a function `(ctx, error)`, plain or
    `async`, that is asked after each failed attempt. `backoff`: how the delay, asked for or not, grows.

    `max_delay` caps the delay; `jitter` (0 to 1) takes a random part of it away. Both are off unless given.
    """

    limit: float
    delay: Duration | DelayFunction
    backoff: NotRequired[Backoff]
    max_delay: NotRequired[Duration]
    jitter: NotRequired[float]


class StepConfigDict(TypedDict, total=False):
    retries: RetriesDict
    timeout: Duration
    queue: str
    sensitive: Literal["output"]


class RollbackConfigDict(TypedDict, total=False):
    """How a rollback handler is run; its attempts are on the workers of its step's queue."""

    retries: RetriesDict
    timeout: Duration


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    limit: float = 5
    """Retries after the first attempt, so `limit + 1` attempts in all; may be infinity."""
    delay_ms: int = 10_000
    backoff: Backoff = "exponential"
    max_delay_ms: int | None = None
    jitter: float = 0.0
    dynamic: bool = False
    """A function gives the delay: `delay_function`, as the code has it now."""
    delay_function: DelayFunction | None = field(default=None, compare=False)

    def delay_after_ms(
        self, attempt: int, random: Callable[[], float] | None = None, *, asked_ms: int | None = None
    ) -> int:
        """The wait after attempt number `attempt` (from 1) failed, in ms; `random` gives numbers in [0, 1) for jitter.

        `asked_ms` is what the delay function has said.

        constant d, linear d x n, exponential d x 2^(n-1): Cloudflare Workflows, sleeping-and-retrying.
        """
        base = self.delay_ms if asked_ms is None else asked_ms
        if self.backoff == "constant":
            delay = base
        elif self.backoff == "linear":
            delay = base * attempt
        else:
            delay = base * 2 ** min(attempt - 1, 62)
        delay = min(delay, MAX_MS if self.max_delay_ms is None else self.max_delay_ms)
        if self.jitter and random is not None:
            delay = round(delay * (1 - self.jitter * random()))
        return delay

    def may_retry(self, attempt: int) -> bool:
        return attempt <= self.limit


@dataclass(frozen=True, slots=True)
class StepConfig:
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    timeout_ms: int = 600_000
    queue: str | None = None
    """Run on this queue's workers; None: wherever the instance is."""
    sensitive: bool = False
    """The output is for the workflow and not for those who look at it."""
    shown: str = ""
    """The resolved configuration as JSON with the author's own spelling: what is stored, and shown."""
    rollback: StepConfig | None = None
    """How its rollback handler is run; None: it has none. It is stored with the step, so that it is known what to undo."""

    def to_dict(self) -> dict[str, Any]:
        """What `ctx.config` holds."""
        data: dict[str, Any] = json.loads(self.shown)
        if self.retries.dynamic:
            del data["retries"]["delay"]
        data.pop("rollback", None)
        return data

    def with_delay_of(self, code: StepConfig) -> StepConfig:
        """A stored configuration can't hold a delay function: that of the code as it is now."""
        if not self.retries.dynamic:
            return self
        return replace(self, retries=replace(self.retries, delay_function=code.retries.delay_function))

    def with_rollback(self, rollback: StepConfig) -> StepConfig:
        shown = {**json.loads(self.shown), "rollback": json.loads(rollback.shown)}
        return replace(self, rollback=rollback, shown=json.dumps(shown))


def parse_config(step_name: str, config: Mapping[str, Any]) -> StepConfig:
    """Merge a config over the defaults. Raises InvalidStepConfig, which names the option and what is allowed."""
    try:
        return _parse(config)
    except (_Invalid, InvalidDuration) as error:
        raise InvalidStepConfig(f'Step config for "{step_name}" is in a invalid format: {error}') from None


def parse_rollback_config(step_name: str, config: Any, queue: str | None) -> StepConfig:
    """As parse_config, for the handler of a step that runs on `queue`."""
    try:
        if config is not None and not isinstance(config, Mapping):
            raise _Invalid(f"{config!r} is not a mapping")
        _check_keys(config or {}, "option", ("retries", "timeout"))
        if not config and not queue:
            return DEFAULT_CONFIG
        return _parse({**(config or {}), **({"queue": queue} if queue else {})})
    except (_Invalid, InvalidDuration) as error:
        raise InvalidStepConfig(f'Rollback config for "{step_name}" is in a invalid format: {error}') from None


class _Invalid(Exception):
    """A reason, before the step's name is put in front of it."""


def _parse(config: Mapping[str, Any], *, stored: bool = False) -> StepConfig:
    _check_keys(config, "option", ("retries", "timeout", "queue", "sensitive"))
    retries, timeout, queue = config.get("retries"), config.get("timeout", DEFAULT_TIMEOUT), config.get("queue")
    if retries is not None and not isinstance(retries, Mapping):
        raise _Invalid(f"retries must be a mapping such as {{'limit': 3, 'delay': '30 seconds'}}, not {retries!r}")
    if queue is not None and not (is_text(queue) and 0 < len(queue) <= MAX_QUEUE_NAME):
        raise _Invalid(f"queue must be a name of 1 to {MAX_QUEUE_NAME} characters, not {queue!r}")
    sensitive = config.get("sensitive")
    if sensitive not in (None, "output"):
        raise _Invalid(f"sensitive may only be 'output', not {sensitive!r}")
    policy, shown_retries = _parse_retries(retries, stored)
    timeout_ms = to_ms(timeout, what="timeout")
    if timeout_ms <= 0:
        raise _Invalid(f"timeout must be longer than 0, not {timeout!r}")
    shown = {"retries": shown_retries, "timeout": _shown(timeout)} | ({"queue": queue} if queue else {})
    if sensitive:
        shown["sensitive"] = sensitive
    return StepConfig(policy, timeout_ms, queue, bool(sensitive), json.dumps(shown))


def _parse_retries(retries: Mapping[str, Any] | None, stored: bool) -> tuple[RetryPolicy, dict[str, Any]]:
    if retries is None:
        return RetryPolicy(), dict(DEFAULT_RETRIES)
    _check_keys(retries, "retries option", ("limit", "delay", "backoff", "max_delay", "jitter"))
    for required in ("limit", "delay"):
        if required not in retries:
            raise _Invalid(f"retries must contain both limit and delay, and {required} is missing")
    given = {**DEFAULT_RETRIES, **retries}
    limit, backoff, jitter = given["limit"], given["backoff"], given.get("jitter", 0.0)
    if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit >= 0:  # nor NaN
        raise _Invalid(f"retries.limit must be a number of at least 0, not {limit!r}")
    if limit > MAX_RETRIES and limit != math.inf:
        raise _Invalid(f"retries.limit may be at most {MAX_RETRIES:,} (or infinity), not {limit!r}")
    if backoff not in get_args(Backoff):
        raise _Invalid(f"retries.backoff must be constant, linear or exponential, not {backoff!r}")
    if isinstance(jitter, bool) or not isinstance(jitter, (int, float)) or not 0 <= jitter <= 1:
        raise _Invalid(f"retries.jitter must be a number from 0 to 1, not {jitter!r}")
    max_delay, delay = given.get("max_delay"), given["delay"]
    function = delay if callable(delay) else None
    dynamic = function is not None or (stored and delay == DYNAMIC)
    policy = RetryPolicy(
        limit=limit,
        delay_ms=FALLBACK_DELAY_MS if dynamic else to_ms(delay, what="retries.delay"),
        backoff=backoff,
        max_delay_ms=None if max_delay is None else to_ms(max_delay, what="retries.max_delay"),
        jitter=float(jitter),
        dynamic=dynamic,
        delay_function=function,
    )
    return policy, {key: _shown(value) for key, value in {**given, "delay": DYNAMIC if dynamic else delay}.items()}


def _check_keys(given: Mapping[str, Any], what: str, known: tuple[str, ...]) -> None:
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, 1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise _Invalid(f"unknown {what} {key!r}; known: {', '.join(known)}{hint}")


def _shown(value: Any) -> Any:
    if isinstance(value, timedelta):
        return to_ms(value)
    return "infinity" if value == math.inf else value


DEFAULT_CONFIG = _parse({})
_SENSITIVE = '"sensitive": "output"'
"""As it is spelled in a stored configuration; within a text the quotes would be escaped."""


def is_sensitive(shown: str | None) -> bool:
    """Whether the step of a stored configuration keeps its output from those who look at it."""
    return shown is not None and _SENSITIVE in shown


@lru_cache(maxsize=1024)
def stored_config(shown: str | None) -> StepConfig:
    """The configuration as it was first stored, None for the default; it wins over what the code says now."""
    if shown is None:
        return DEFAULT_CONFIG
    data = json.loads(shown)
    rollback = data.pop("rollback", None)
    config = _from_stored(data)
    return config if rollback is None else config.with_rollback(_from_stored(rollback))


def _from_stored(data: dict[str, Any]) -> StepConfig:
    if data["retries"]["limit"] == "infinity":
        data["retries"]["limit"] = math.inf
    return _parse(data, stored=True)
