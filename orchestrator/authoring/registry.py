"""The workflows a process knows, by name; it imports no application by itself."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orchestrator.authoring.workflow import Definition, WorkflowEntrypoint
from orchestrator.errors import DuplicateWorkflow, WorkflowNotFound


class Registry(Mapping[str, Definition]):
    def __init__(self, workflows: Iterable[type[WorkflowEntrypoint[Any]]] = ()) -> None:
        self._definitions: dict[str, Definition] = {}
        for workflow in workflows:
            self.add(workflow)

    def add(self, workflow: type[WorkflowEntrypoint[Any]]) -> Definition:
        """Raises DuplicateWorkflow if another class has the name, SetupError for a class that can't be a workflow."""
        definition = Definition.of(workflow)
        known = self._definitions.get(definition.name)
        if known is not None and known.cls is not workflow:
            raise DuplicateWorkflow(
                f"Two workflows are called {definition.name!r}: {_where(known.cls)} and {_where(workflow)}. "
                'Give one of them another name: `name = "…"` in its class.'
            )
        self._definitions[definition.name] = definition
        return definition

    def require(self, name: str) -> Definition:
        """Raises WorkflowNotFound, with the names that come close."""
        try:
            return self._definitions[name]
        except KeyError:
            raise WorkflowNotFound(unknown_workflow(name, self._definitions)) from None

    def __getitem__(self, name: str) -> Definition:
        return self._definitions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._definitions)

    def __len__(self) -> int:
        return len(self._definitions)


def unknown_workflow(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, 1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    listed = f" Known workflows: {', '.join(names)}." if names else " No workflow is registered yet."
    return f"There is no workflow called {name!r}.{hint}{listed}"


def _where(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
