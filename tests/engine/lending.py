"""Lets a test's thread be the one that drives the loop of the bodies, however slow the machine is."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from orchestrator.engine import async_bodies, body_loop
from orchestrator.engine.runtime import Runtime


def lend(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, until something else is to be done on it."""
    monkeypatch.setattr(body_loop, "LENT_S", 60)
    monkeypatch.setattr(async_bodies, "SHORT_S", 60)
    bodies = runtime.bodies
    for _ in range(2000):
        if bodies.wait(lambda: True, 0):
            return
        bodies.start([(_nothing, lambda _: None)])
        threading.Event().wait(0.005)
    raise AssertionError("the loop was never lent")


async def _nothing() -> None:
    return


def until(happens: Callable[[], bool]) -> None:
    for _ in range(6000):
        if happens():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it did not happen")
