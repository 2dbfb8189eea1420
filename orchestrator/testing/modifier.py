"""What a test wants to be otherwise with an instance, written down and checked; it changes nothing by itself."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import StepTimeoutError
from orchestrator.names import check_event_type, label_of, split_key
from orchestrator.serialization import check_size, encode
from orchestrator.statuses import StepKind
from orchestrator.testing.misuse import BY, IntrospectionError
from orchestrator.testing.mocked_streams import recorded
from orchestrator.testing.steps import Step, key_of, keys_of, whole


@dataclass
class Selection:
    """Some steps, or all."""

    all: bool = False
    keys: set[str] = field(default_factory=set)

    def add(self, steps: Iterable[Step] | None, kind: StepKind) -> None:
        if steps is None:
            self.all = True
        else:
            self.keys |= keys_of(steps, kind)

    def __contains__(self, key: str) -> bool:
        return self.all or key in self.keys


@dataclass(frozen=True, slots=True)
class Failure:
    """What attempts fail with instead of running their body; `times` is how many, None: all that are left."""

    error: BaseException | type[BaseException]
    times: int | None


@dataclass
class Modifications:
    """By the keys of steps. A step and its occurrence are one key, so these hold for every run of the instance."""

    sleeps: Selection = field(default_factory=Selection)
    retry_delays: Selection = field(default_factory=Selection)
    results: dict[str, Callable[[], Any]] = field(default_factory=dict)
    failures: dict[str, list[Failure]] = field(default_factory=dict)
    event_timeouts: set[str] = field(default_factory=set)
    events: dict[str, list[str]] = field(default_factory=dict)
    """Payloads as JSON text, by type, in order."""

    def copy(self) -> Modifications:
        """A record of its own; what is mocked is shared."""
        shared = copy.copy(self)
        shared.sleeps, shared.retry_delays = copy.deepcopy(self.sleeps), copy.deepcopy(self.retry_delays)
        shared.results, shared.event_timeouts = dict(self.results), set(self.event_timeouts)
        shared.failures = {key: list(failures) for key, failures in self.failures.items()}
        shared.events = {type: list(payloads) for type, payloads in self.events.items()}
        return shared

    def failure(self, key: str, attempt: int) -> Failure | None:
        """What an attempt (from 1) fails with: failures follow one another in the order they were asked for."""
        for failure in self.failures.get(key, ()):
            if failure.times is None or attempt <= failure.times:
                return failure
            attempt -= failure.times
        return None


class Modifier:
    """Says what an instance does differently in a test. Each method returns the modifier, so that calls can be chained.

    A step is named as `"charge"` or `{"name": "charge", "index": 2}`. What is said holds from the next time the engine
    comes to it, for all runs of the instance: say it before the step runs.
    """

    def __init__(self, modifications: Modifications) -> None:
        self._modifications = modifications

    def disable_sleeps(self, steps: Iterable[Step] | None = None) -> Modifier:
        """`step.sleep` and `step.sleep_until` of these names pass at once; all of them, if none is named."""
        self._modifications.sleeps.add(steps, StepKind.SLEEP)
        return self

    def disable_retry_delays(self, steps: Iterable[Step] | None = None) -> Modifier:
        """Failed attempts of these steps are followed by the next one at once; of all steps, if none is named."""
        self._modifications.retry_delays.add(steps, StepKind.DO)
        return self

    def mock_step_result(self, step: Step, result: Any) -> Modifier:
        """The step returns this and its body never runs. Checked and stored as if the body had returned it.

        A mapping will do where the body's annotation says a model; an (async) iterator of bytes is a stream. Raises
        IntrospectionError for a step that has a mocked result already.
        """
        key = key_of(step, StepKind.DO)
        if key in self._modifications.results:
            raise IntrospectionError(
                f"{BY} Trying to mock step '{_named(key)}' multiple times! Its result has been mocked already; another "
                f"step of that name is {{'name': {split_key(key)[1]!r}, 'index': {split_key(key)[2] + 1}}}."
            )
        self._modifications.results[key] = recorded(result)
        return self

    def mock_step_error(
        self, step: Step, error: BaseException | type[BaseException], times: int | None = None
    ) -> Modifier:
        """The first `times` attempts fail with this error instead of running the body; every attempt, if not given.

        Followed by `mock_step_result`, the step fails so often and then succeeds. Raises IntrospectionError after it.
        """
        given: object = error
        if not isinstance(given, BaseException | type) or (
            isinstance(given, type) and not issubclass(given, BaseException)
        ):
            raise IntrospectionError(f"{BY} A step fails with an error such as ValueError('no'), not with {given!r}.")
        return self._fail(step, Failure(error, times), "mock error on")

    def force_step_timeout(self, step: Step, times: int | None = None) -> Modifier:
        """The first `times` attempts time out at once, without running the body; every attempt, if not given.

        Raises IntrospectionError after `mock_step_result` for the same step.
        """
        return self._fail(step, Failure(StepTimeoutError.after(0), times), "force timeout on")

    def mock_event(self, event: Mapping[str, Any] | str, payload: Any = None) -> Modifier:
        """An event that is there when the instance waits for one of its type: `mock_event("approval", {"by": "ann"})`,
        or `mock_event({"type": "approval", "payload": {"by": "ann"}})`. Several of a type are taken in order.

        Raises InvalidEventType, NotSerializableError, PayloadTooLarge.
        """
        if isinstance(event, Mapping):
            unknown = sorted(str(key) for key in event if key not in ("type", "payload"))
            if unknown or "type" not in event or payload is not None:
                raise IntrospectionError(
                    f"{BY} An event is given as {{'type': 'approval', 'payload': …}}, not as {dict(event)!r}."
                )
            return self.mock_event(event["type"], event.get("payload"))
        what = f"The payload of event {check_event_type(event)!r}"
        self._modifications.events.setdefault(event, []).append(check_size(encode(payload, what=what), what))
        return self

    def force_event_timeout(self, step: Step) -> Modifier:
        """`step.wait_for_event` of this name times out as soon as it waits."""
        self._modifications.event_timeouts.add(key_of(step, StepKind.WAIT_FOR_EVENT))
        return self

    def _fail(self, step: Step, failure: Failure, what: str) -> Modifier:
        key = key_of(step, StepKind.DO)
        if failure.times is not None:
            whole(failure.times, f"`times` for step {split_key(key)[1]!r}")
        if key in self._modifications.results:
            raise IntrospectionError(
                f"{BY} Trying to {what} step '{_named(key)}' after mocking its result! Say first how it fails and how "
                "often, then what it returns after that."
            )
        self._modifications.failures.setdefault(key, []).append(failure)
        return self


def _named(key: str) -> str:
    _, name, count = split_key(key)
    return name if count == 1 else label_of(key)
