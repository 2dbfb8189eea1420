"""Keeps the garbage collector out of the way of a process that works; it never turns it off, and frees nothing itself."""

from __future__ import annotations

import gc
from collections.abc import Callable

THRESHOLDS = (5_000, 20, 50)


def collect_rarely() -> Callable[[], None]:
    """What was loaded by now stays for good, so the garbage collector need not walk through it again and again: a full
    collection stopped a worker for 0.2 s while it woke 2,000 instances. Children of prefork share more memory, too.

    Call what it returns where the process has other things to do afterwards.
    """
    thresholds, frozen = gc.get_threshold(), gc.get_freeze_count()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)

    def undo() -> None:
        gc.set_threshold(*thresholds)
        if not frozen:  # by somebody else, who has reasons to
            gc.unfreeze()

    return undo
