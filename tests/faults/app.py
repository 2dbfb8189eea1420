"""Workflows that do their worker harm; what they do is written to a file, as the database can't be asked."""

from __future__ import annotations

import os
from typing import Any

from orchestrator import WorkflowEntrypoint, WorkflowEvent, WorkflowStep


def note(path: str, *words: object) -> None:
    line = " ".join(map(str, (*words, os.getpid()))) + "\n"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


class Suicidal(WorkflowEntrypoint[Any]):
    """Its function, not a step, ends the process."""

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> str:
        await step.do("first", note, event.payload["ledger"], "ran", "first")
        note(event.payload["ledger"], "dies")
        os._exit(3)


class Endless(WorkflowEntrypoint[Any]):
    """Its function never comes back."""

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> str:
        await step.do("first", note, event.payload["ledger"], "ran", "first")
        note(event.payload["ledger"], "hangs")
        while True:
            pass


class Harmless(WorkflowEntrypoint[Any]):
    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> str:
        for number in range(event.payload["count"]):
            await step.do(f"step {number}", note, event.payload["ledger"], "ran", number)
        return "done"
