"""What a run of chaos says at its end; it judges nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.chaos.crowd import Crowd
from tests.chaos.injector import Injector
from tests.chaos.recovery import Recovery
from tests.chaos.verdict import Verdict

SHOWN = 10


def written(
    title: str, folder: Path, verdict: Verdict, crowd: Crowd, injector: Injector, recovery: Recovery, seconds: float
) -> str:
    faults = injector.faults + _doorbells(folder)
    lines = [
        title,
        "",
        f"  time             {seconds:.0f} s",
        f"  programs         {len(crowd.started)}",
        f"  steps stored     {verdict.steps}",
        f"  bodies run       {verdict.bodies}",
        f"  steps undone     {verdict.undone}, in rollbacks: {_counted(verdict.rollbacks)}",
        f"  lost             {len(verdict.lost)}",
        f"  wrong            {len(verdict.wrong)}",
        "",
        "  bodies run more than once",
        f"    as further attempts, after a failure or the loss of their worker   {verdict.repeated - verdict.begun_twice}",
        f"    under the same number, before any result was stored                {verdict.begun_twice}",
        f"    after their result was stored, in a process that had been frozen   {verdict.after_a_freeze}",
        f"    after their result was stored, which must not be                   {len(verdict.after_commit)}",
        "",
        f"  slowest call of a client   {crowd.slowest_call_s:.2f} s",
        "",
        f"  faults           {sum(faults.values())}",
        *(f"    {name:<39}  {count}" for name, count in sorted(faults.items())),
        "",
        "  recovery of what a worker held (time until another has it)",
        *_percentiles(recovery),
    ]
    for name, found in (("lost", verdict.lost), ("wrong", verdict.wrong), ("begun too late", verdict.after_commit)):
        if found:
            lines += ["", f"  {name}:", *(f"    {one}" for one in found[:SHOWN])]
    return "\n".join(lines)


def _counted(found: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(found.items())) or "none"


def _percentiles(recovery: Recovery) -> list[str]:
    by_fault: dict[str, list[float]] = {}
    for how, took_s in recovery.took_s:
        by_fault.setdefault(how, []).append(took_s)
        by_fault.setdefault("all", []).append(took_s)
    if not by_fault:
        return ["    nothing was held when a worker was lost"]
    return [
        f"    {how:<24}  {len(times):>5} instances   p50 {_at(times, 0.5):.2f} s   p99 {_at(times, 0.99):.2f} s"
        for how, times in sorted(by_fault.items())
    ]


def _at(times: list[float], part: float) -> float:
    return sorted(times)[min(int(len(times) * part), len(times) - 1)]


def _doorbells(folder: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for path in folder.glob("doorbell-*"):
        found += Counter(f"doorbell {line}" for line in path.read_text().split())
    return found
