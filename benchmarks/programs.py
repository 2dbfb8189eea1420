"""The work that is measured, the same for every engine, and the check that it was done; it knows no engine."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.engine import Engine

MS = 1000.0
SETTLE_S = 0.5
"""After this long a started instance waits for its event in every engine."""
NAPS_BEFORE = 3
"""So often every slot has worked, on a connection of its own, before it counts."""


class WrongResult(Exception):
    """An engine was quick, and wrong."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One number of one turn. `name` is the program with its size; lower is better unless the unit is a rate."""

    name: str
    value: float
    unit: str
    others: float = 0.0
    """How much of the processor others used meanwhile, in percent."""
    cpu_s: float = 0.0
    """Processor time of the whole program: driver, workers, database and broker. It holds on a busy machine too."""


Program = Callable[[Engine], Iterator[Measured]]


def seq(n: int, *, body: str = "", samples: int = 1) -> Program:
    """One instance, `n` steps one after another: milliseconds a step."""

    def measure(engine: Engine) -> Iterator[Measured]:
        if n > engine.longest_seq:
            return
        times = [_timed(engine, f"seq{body}", n) for _ in range(samples)]
        yield Measured(f"seq{body} {n}", statistics.median(times) / n * MS, "ms/step")

    return measure


def fan(n: int, *, body: str = "", samples: int = 1) -> Program:
    """One instance, `n` steps at once: milliseconds for all of them."""

    def measure(engine: Engine) -> Iterator[Measured]:
        times = [_timed(engine, f"fan{body}", n) for _ in range(samples)]
        yield Measured(f"fan{body} {n}", statistics.median(times) * MS, "ms")

    return measure


def nap(n: int = 100, ms: int = 50, *, samples: int = 3) -> Program:
    """One instance, `n` `def` steps at once that block for `ms` each."""

    def measure(engine: Engine) -> Iterator[Measured]:
        once = partial(engine.run, "nap", {"n": n, "ms": ms})
        times = []
        for _ in range(NAPS_BEFORE):
            _expect(once(), _sum(n))
        for _ in range(samples):
            started = time.perf_counter()
            _expect(once(), _sum(n))
            times.append(time.perf_counter() - started)
        yield Measured(f"fan_def {n} x {ms} ms", statistics.median(times) * MS, "ms")

    return measure


def many(instances: int, steps: int, *, body: str = "") -> Program:
    """Many short instances started at once, and all of them awaited: steps a second."""

    def measure(engine: Engine) -> Iterator[Measured]:
        started = time.perf_counter()
        results = engine.run_all(f"seq{body}", [{"n": steps}] * instances)
        seconds = time.perf_counter() - started
        _expect(results, [_sum(steps)] * instances)
        yield Measured(f"many{body} {instances} x {steps}", instances * steps / seconds, "steps/s")

    return measure


def start(samples: int) -> Program:
    """From the call that starts a workflow of one step to its result."""

    def measure(engine: Engine) -> Iterator[Measured]:
        times = [_timed(engine, "seq", 1) for _ in range(samples)]
        yield Measured("start", statistics.median(times) * MS, "ms p50")

    return measure


def event(samples: int) -> Program:
    """From the call that sends an event to the result of the workflow that waited for it."""

    def measure(engine: Engine) -> Iterator[Measured]:
        handles = engine.start_all("event", [{}] * samples)
        time.sleep(SETTLE_S)
        times = []
        for number, handle in enumerate(handles):
            sent = time.perf_counter()
            engine.send_event(handle, {"number": number})
            _expect(engine.result(handle), {"number": number})
            times.append(time.perf_counter() - sent)
        yield Measured("event", statistics.median(times) * MS, "ms p50")

    return measure


def timers(count: int) -> Program:
    """Sleeps that all end at one moment: how much later the step after each of them runs."""

    def measure(engine: Engine) -> Iterator[Measured]:
        lead_s = engine.timer_lead_s * max(count / 2000, 0.3)
        for _ in range(3):
            due_ms = (time.time() + lead_s) * MS
            handles = engine.start_all("timer", [{"due_ms": due_ms}] * count)
            results = [engine.result(handle) for handle in handles]
            if max(asleep for asleep, _ in results) < due_ms:
                late = sorted(woken - due_ms for _, woken in results)
                _expect(late[0] >= -1, True)
                yield Measured(f"timers {count} p50", late[len(late) // 2], "ms late")
                yield Measured(f"timers {count} p99", late[int(len(late) * 0.99)], "ms late")
                return
            lead_s *= 2  # some were started too late to be on time

    return measure


_keys = itertools.count()
"""Each is used once, however often a number is taken again: peers count the attempts of a key."""


def retry(samples: int) -> Program:
    """A step that fails twice and is tried again at once, from start to result."""

    def measure(engine: Engine) -> Iterator[Measured]:
        times = []
        for _ in range(samples):
            started = time.perf_counter()
            _expect(engine.run("retry", {"key": next(_keys)}), 3)
            times.append(time.perf_counter() - started)
        yield Measured("retry", statistics.median(times) * MS, "ms p50")

    return measure


def warm_up(engine: Engine) -> None:
    """Connections, imports and compiled statements are there before anything counts."""
    for workflow in ("seq", "fan"):
        _timed(engine, workflow, 20)
    _expect(engine.run_all("seq", [{"n": 5}] * 20), [_sum(5)] * 20)


def _timed(engine: Engine, workflow: str, n: int) -> float:
    started = time.perf_counter()
    result = engine.run(workflow, {"n": n})
    seconds = time.perf_counter() - started
    _expect(result, _sum(n))
    return seconds


def _sum(n: int) -> int:
    return n * (n - 1) // 2


def _expect(found: Any, wanted: Any) -> None:
    if found != wanted:
        raise WrongResult(f"The result is {str(found)[:200]}, and it should be {str(wanted)[:200]}.")
