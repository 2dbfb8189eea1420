"""Finds modifiers that have met nothing, which is most often a spelling mistake; it only tells."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from orchestrator.inspection import InstanceDetail
from orchestrator.names import label_of, split_key, step_key
from orchestrator.statuses import StepKind
from orchestrator.testing.modifier import Modifications


def unused(modifications: Modifications, seen: Iterable[InstanceDetail]) -> Iterator[str]:
    """In words, for each modifier of a step or an event type that none of these instances has come to."""
    steps = [step for detail in seen for step in detail.steps]
    for method, keys in (
        ("mock_step_result", modifications.results.keys()),
        ("mock_step_error or force_step_timeout", modifications.failures.keys()),
        ("disable_retry_delays", modifications.retry_delays.keys),
        ("disable_sleeps", modifications.sleeps.keys),
        ("force_event_timeout", modifications.event_timeouts),
    ):
        for key in sorted(keys):
            kind = split_key(key)[0]
            there = {step_key(step.kind, step.name, step.count): step.label for step in steps if step.kind == kind}
            if key not in there:
                what = {StepKind.DO: "step", StepKind.SLEEP: "sleep"}.get(StepKind(kind), "wait for an event")
                yield _in_words(method, f"{what} {label_of(key)!r}", label_of(key), list(there.values()))
    types = [step.config["type"] for step in steps if step.kind == StepKind.WAIT_FOR_EVENT and step.config]
    for type in sorted(modifications.events.keys() - set(types)):
        yield _in_words("mock_event", f"wait for an event of type {type!r}", type, types)


def _in_words(method: str, what: str, name: str, there: list[str]) -> str:
    close = difflib.get_close_matches(name, there, 1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    listed = ", ".join(repr(one) for one in dict.fromkeys(there)) or "none"
    return f"{method}: the workflow never came to a {what}. Of that kind it came to: {listed}.{hint}"
