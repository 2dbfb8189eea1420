"""`make profile`: where the time of a program of ours goes, by process and by part; it compares nobody and judges nothing."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import parts
from benchmarks.engine import Place
from benchmarks.ours import Ours, OursEmbedded, OursWorkers
from benchmarks.programs import MS, warm_up
from benchmarks.replay import asleep_after, replay_us
from benchmarks.rounds import AOF, clean_environment, new_place
from tests.services import PostgresServer, ValkeyServer

STEPS, INSTANCES, SLEEPS, NAPS, JOURNAL, REPLAYS = 1000, 200, 2000, 100, 10_000, 20
RATE = 400
"""Samples a second. Each stops the process for a moment, so that nothing is timed while they are taken."""
ATTACHES_WITHIN_S = 30.0
LEAD_S = 2.0
"""Of sleeps, before they are due: the profiler comes meanwhile."""

Work = Callable[[], float]
"""What counts, and how many seconds of it do."""


@dataclass(frozen=True, slots=True)
class Case:
    make: Callable[[Place], Ours]
    prepare: Callable[[Ours], Work]
    """What is not to count is done here; what does is returned."""
    unit: str
    units: int
    """In one go."""
    times: int = 1
    """Goes, each with a preparation of its own."""


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _seq(engine: Ours) -> Work:
    return lambda: _timed(lambda: engine.run("seq", {"n": STEPS}))


def _fan(steps: int) -> Callable[[Ours], Work]:
    return lambda engine: lambda: _timed(lambda: engine.run("fan", {"n": steps}))


def _many(engine: Ours) -> Work:
    return lambda: _timed(lambda: engine.run_all("seq", [{"n": 10}] * INSTANCES))


def _naps(engine: Ours) -> Work:
    return lambda: _timed(lambda: engine.run("nap", {"n": NAPS, "ms": 50}))


def _timers(engine: Ours) -> Work:
    """From the moment at which they are due."""
    due_at = time.time() + engine.timer_lead_s
    handles = engine.start_all("timer", [{"due_ms": due_at * MS}] * SLEEPS)
    time.sleep(max(due_at - LEAD_S - time.time(), 0))  # they are due by this very clock

    def wake() -> float:
        for handle in handles:
            engine.result(handle)
        return time.time() - due_at

    return wake


def _replay(engine: Ours) -> Work:
    asleep = asleep_after(engine, JOURNAL)
    return lambda: sum(replay_us(engine.url, asleep.id, JOURNAL) for _ in range(REPLAYS)) * JOURNAL / 1e6


def _workers(processes: int) -> Callable[[Place], Ours]:
    return lambda place: OursWorkers(place, processes=processes)


CASES = {
    "seq-sqlite": Case(OursEmbedded, _seq, "step", STEPS, 5),
    "seq-postgres": Case(_workers(1), _seq, "step", STEPS, 5),
    "fan-100-sqlite": Case(OursEmbedded, _fan(100), "step", 100, 50),
    "fan-1000-sqlite": Case(OursEmbedded, _fan(1000), "step", 1000, 10),
    "many": Case(_workers(1), _many, "step", INSTANCES * 10, 4),
    "many-x2": Case(_workers(2), _many, "step", INSTANCES * 10, 4),
    "nap-x2": Case(_workers(2), _naps, "step", NAPS, 10),
    "timers-sqlite": Case(OursEmbedded, _timers, "instance", SLEEPS),
    "timers": Case(_workers(1), _timers, "instance", SLEEPS),
    "timers-x2": Case(_workers(2), _timers, "instance", SLEEPS),
    "replay-sqlite": Case(OursEmbedded, _replay, "step", REPLAYS * JOURNAL),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiles", description=__doc__)
    parser.add_argument("case", nargs="*", default=list(CASES), help=f"of {', '.join(CASES)}; all of them by default")
    given = parser.parse_args()
    if unknown := [one for one in given.case if one not in CASES]:
        parser.error(f"there is no {unknown[0]!r}; there are {', '.join(CASES)}")
    kept = clean_environment()
    os.environ.clear()
    os.environ.update(kept)
    with PostgresServer(durable=True) as postgres, ValkeyServer(settings=AOF) as valkey:
        for name in given.case:
            with new_place(postgres, valkey) as place:
                print(_told(name, CASES[name], place), flush=True)
    return 0


def _told(name: str, case: Case, place: Place) -> str:
    with case.make(place) as engine:
        warm_up(engine)
        seconds, used = 0.0, Counter[str]()
        for _ in range(case.times):
            work = case.prepare(engine)
            before = _used_s()
            seconds += work()
            used += _used_s() - before
        stacks: list[str] = []
        for _ in range(case.times):
            work = case.prepare(engine)
            with _spied_on(engine, place.directory / "stacks", stacks):
                work()
    units, cores = case.times * case.units, os.cpu_count() or 1
    lines = [
        f"\n### {name}: {seconds / units * 1e6:,.0f} µs per {case.unit}\n",
        f"| process | processor time per {case.unit}, µs | share of the {cores} cores |",
        "|---|---|---|",
    ]
    for role, s in [*used.most_common(), ("together", used.total())]:
        lines.append(f"| {role} | {s / units * 1e6:,.0f} | {s / seconds / cores:.0%} |")
    lines += ["", "| share of ours, while it holds the interpreter's lock | in |", "|---|---|"]
    lines += [f"| {share:.0f} % | {part} |" for part, share in parts.shares(stacks).items() if share >= 0.5]
    return "\n".join(lines)


def _used_s() -> Counter[str]:
    """Processor time so far, by role, of this process and all that it has started."""
    me = psutil.Process()
    found = Counter({"client, and all of ours that is embedded": sum(me.cpu_times()[:2])})
    for process in me.children(recursive=True):
        try:
            role = parts.role_of(process.name(), process.cmdline())
            found[role] += sum(process.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return found


@contextmanager
def _spied_on(engine: Ours, file: Path, stacks: list[str]) -> Iterator[None]:
    """Add a line to `stacks` for each stack of this process or of the workers, of the thread that holds the lock of its
    interpreter: others wait, or are within what a database's driver does without it, which can't be told apart."""
    spied_on = (
        ["--pid", str(engine.worker.pid), "--subprocesses"]
        if isinstance(engine, OursWorkers)
        else ["--pid", str(os.getpid())]
    )
    command = [
        str(Path(sys.executable).with_name("py-spy")),
        "record",
        *spied_on,
        "--gil",
        "--rate",
        str(RATE),
        "--format",
        "raw",
    ]
    with (file.with_suffix(".log")).open("w") as log:
        spy = subprocess.Popen([*command, "--output", str(file)], stdout=log, stderr=log)
        try:
            _wait_till_it_looks(spy, Path(log.name))
            yield
        finally:
            spy.send_signal(signal.SIGINT)
            code = spy.wait()
    if code != 0 or not file.exists():
        raise _cant_look(Path(log.name))
    stacks += file.read_text().splitlines()
    file.unlink()


def _wait_till_it_looks(spy: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + ATTACHES_WITHIN_S
    while "Sampling process" not in log.read_text():
        if spy.poll() is not None or time.monotonic() > deadline:
            raise _cant_look(log)
        time.sleep(0.01)  # it tells nobody but its log


def _cant_look(log: Path) -> SystemExit:
    return SystemExit(f"py-spy can't look into a process here, as a container may forbid it: {log.read_text()[-500:]}")


if __name__ == "__main__":
    sys.exit(main())
