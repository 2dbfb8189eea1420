"""A doorbell that loses, doubles and delays what it is given, as a broker may; for workers and clients alike."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.doorbell import Ring
from orchestrator.settings import Settings
from tasks.doorbell import CeleryDoorbell

PATH = "tests.chaos.doorbell:UnreliableDoorbell"
FOLDER = "CHAOS_FOLDER"
"""The variable that says where to write down what was done to whom."""
SEED = "CHAOS_SEED"
"""The variable that says which of its messages a process loses: the nth of it has the same fate in every run of a seed."""

LOST, DOUBLED, DELAYED = 0.2, 0.1, 0.1
LONGEST_DELAY_S = 2.0


class UnreliableDoorbell(CeleryDoorbell):
    def __init__(self, settings: Settings, **given: Any) -> None:
        super().__init__(settings, **given)
        self._random = random.Random(os.environ.get(SEED))
        self._file = Path(os.environ[FOLDER]) / f"doorbell-{os.getpid()}"

    def ring(self, rings: Sequence[Ring]) -> None:
        kept, late = [], []
        for ring in rings:
            chance = self._random.random()
            if chance < LOST:
                self._note("lost")
            elif chance < LOST + DOUBLED:
                self._note("doubled")
                kept += [ring, ring]
            elif chance < LOST + DOUBLED + DELAYED:
                self._note("delayed")
                late.append(ring)
            else:
                kept.append(ring)
        if kept:
            super().ring(kept)
        if late:
            self._later(late)

    def _later(self, rings: list[Ring]) -> None:
        timer = threading.Timer(self._random.uniform(0, LONGEST_DELAY_S), super().ring, [rings])
        timer.daemon = True
        timer.start()

    def _note(self, what: str) -> None:
        with self._file.open("a") as file:
            file.write(f"{what}\n")
