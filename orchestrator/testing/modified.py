"""Which instances are modified, and how; known by the names of instances, so also before they are created."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.testing.misuse import IntrospectionError
from orchestrator.testing.modifier import Modifications


@dataclass(eq=False)
class Session:
    """The introspection of a workflow: all its instances from `floor` (a key) on are modified as they are first seen."""

    floor: int
    modifications: Modifications = field(default_factory=Modifications)


class ModifiedInstances:
    def __init__(self) -> None:
        self._instances: dict[tuple[str, str], Modifications] = {}
        self._sessions: dict[str, Session] = {}
        self._events: dict[tuple[int, str], tuple[str, int]] = {}
        """The mocked event that each wait of an instance has been given: its type and number."""

    def __bool__(self) -> bool:
        return bool(self._instances or self._sessions)

    def open(self, workflow: str, floor: int) -> Session:
        """Raises IntrospectionError if there is one."""
        if workflow in self._sessions:
            raise IntrospectionError(
                f'Workflow "{workflow}" already has an active introspection session. Dispose of that one first: '
                "`with introspect_workflow(...)` does so at its end."
            )
        session = self._sessions[workflow] = Session(floor)
        return session

    def close(self, workflow: str) -> None:
        self._sessions.pop(workflow, None)

    def named(self, workflow: str, id: str) -> Modifications:
        """Those of an instance that need not exist yet."""
        session = self._sessions.get(workflow)
        fresh = Modifications() if session is None else session.modifications.copy()
        return self._instances.setdefault((workflow, id), fresh)

    def of(self, workflow: str, id: str, pk: int) -> Modifications | None:
        """Those of an instance that there is."""
        known = self._instances.get((workflow, id))
        if known is None and (session := self._sessions.get(workflow)) is not None and pk > session.floor:
            return self.named(workflow, id)
        return known

    def forget(self, workflow: str, id: str) -> None:
        self._instances.pop((workflow, id), None)

    def next_event(self, modifications: Modifications, pk: int, key: str, event_type: str) -> str | None:
        """The payload for a wait: the next one of its type, or, after a restart, the one it was given before."""
        given = self._events.get((pk, key))
        if given is None:
            number = sum(one == pk and type == event_type for (one, _), (type, _) in self._events.items())
            given = event_type, number
        payloads = modifications.events.get(event_type, [])
        if given[0] != event_type or given[1] >= len(payloads):
            return None
        self._events[pk, key] = given
        return payloads[given[1]]
