"""The bodies of steps that were put up for everybody, so that this process finds them without a replay; it looks for none."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.authoring.commands import RunStep
from orchestrator.engine.orders import Identity


@dataclass(slots=True)
class Offer:
    """What is known here of the steps of one run of an instance."""

    identity: Identity
    commands: dict[str, RunStep] = field(default_factory=dict)


class Offers:
    def __init__(self, limit: int = 64) -> None:
        self._limit = limit
        self._offers: OrderedDict[tuple[int, int], Offer] = OrderedDict()
        self._searches: weakref.WeakValueDictionary[int, threading.Lock] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()

    def put(self, identity: Identity, commands: Iterable[RunStep]) -> Offer:
        with self._lock:
            offer = self._offers.setdefault((identity.pk, identity.run), Offer(identity))
            offer.commands.update((command.key, command) for command in commands)
            self._offers.move_to_end((identity.pk, identity.run))
            while len(self._offers) > self._limit:
                self._offers.popitem(last=False)
        return offer

    def find(self, pk: int, run: int, keys: Iterable[str]) -> Offer | None:
        """What is known of a run, if that is these steps and perhaps more."""
        offer = self._offers.get((pk, run))
        return offer if offer is not None and all(key in offer.commands for key in keys) else None

    def searching(self, pk: int) -> threading.Lock:
        """Of whoever looks for what is not found here: threads that come at once would all do the same."""
        with self._lock:
            return self._searches.setdefault(pk, threading.Lock())

    def drop(self, pk: int, run: int) -> None:
        with self._lock:
            self._offers.pop((pk, run), None)
