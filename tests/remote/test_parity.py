"""The client over HTTP has what the local one has, by the same names and in the same words; what differs is listed here."""

from __future__ import annotations

import inspect
import typing
from typing import Any

import pytest

from orchestrator.authoring.streams import ByteStream
from orchestrator.client import (
    Access,
    BatchCreated,
    Client,
    Instance,
    StepOutput,
    Subscription,
    WorkflowClient,
)
from orchestrator.remote import RemoteClient, RemoteInstance, RemoteWorkflowClient
from orchestrator.remote.access import RemoteAccess
from orchestrator.remote.instance import RemoteByteStream, RemoteStepOutput
from orchestrator.remote.subscription import RemoteSubscription
from orchestrator.remote.workflow import RemoteBatchCreated

PAIRS: tuple[tuple[type, type], ...] = (
    (Client, RemoteClient),
    (WorkflowClient, RemoteWorkflowClient),
    (Instance, RemoteInstance),
    (Subscription, RemoteSubscription),
    (Access, RemoteAccess),
    (BatchCreated, RemoteBatchCreated),
    (StepOutput, RemoteStepOutput),
    (ByteStream, RemoteByteStream),
)

ONLY_LOCAL = {
    "Client.desk": "what the local handles write through",
    "Client.reading": "a connection to the database",
    "Client.snapshot": "a connection to the database",
    "Client.forget": "what a process remembers of the database",
    "Client.answers": "a server asks this, of the key of a request",
    "Client.accept_message": "for `orchestrator listen`, which stands at the database",
    "Client.reject_message": "for `orchestrator listen`, which stands at the database",
    "Client.forget_messages": "for the pump of a worker",
    "WorkflowClient.queue": "of Celery, which callers over HTTP have no use for",
    "WorkflowClient.new": "for messages, whose instances are written together with their ids",
    "Access.check_token": "a server asks this, of the token of a request",
    "Access.record": "a server writes the log itself, of every change",
    "Subscription.next": "for a server that has to say something while nothing happens",
}
ONLY_REMOTE = {
    "Client.url": "where the server is",
    "Client.pages": "how the handles read lists",
}
OTHERWISE = {
    "WorkflowClient.create": "`trigger` says who has started it, which a server knows of itself",
    "WorkflowClient.create_batch": "as `create`",
}


def _public(cls: type) -> dict[str, Any]:
    own = [name for kind in reversed(cls.__mro__) if kind.__module__.startswith("orchestrator.") for name in vars(kind)]
    fields = [name for kind in cls.__mro__ for name in vars(kind).get("__dataclass_fields__", ())]
    names = [name for name in (*own, *fields) if not name.startswith("_") or name in _ITERATING]
    return {name: inspect.getattr_static(cls, name, None) for name in names}


_ITERATING = ("__iter__", "__aiter__", "__next__", "__enter__", "__exit__")


def _spelled(member: Any) -> list[str]:
    """Signatures as text: annotations are text, and the classes of the two differ by one word."""
    if isinstance(member, property):
        member = member.fget
    if not inspect.isfunction(member):
        return []
    forms = [*typing.get_overloads(member), member]
    return [str(inspect.signature(form)).replace("Remote", "") for form in forms]


@pytest.mark.parametrize(("local", "remote"), PAIRS, ids=lambda cls: cls.__name__)
def test_both_have_the_same_methods(local: type, remote: type) -> None:
    here, there = set(_public(local)), set(_public(remote))

    assert {f"{local.__name__}.{name}" for name in here - there} == _of(ONLY_LOCAL, local)
    assert {f"{local.__name__}.{name}" for name in there - here} == _of(ONLY_REMOTE, local)


@pytest.mark.parametrize(("local", "remote"), PAIRS, ids=lambda cls: cls.__name__)
def test_both_take_and_give_the_same(local: type, remote: type) -> None:
    here, there = _public(local), _public(remote)
    differ = {name for name in here.keys() & there.keys() if _spelled(here[name]) != _spelled(there[name])}

    assert {f"{local.__name__}.{name}" for name in differ} == _of(OTHERWISE, local), [
        (name, _spelled(here[name]), _spelled(there[name])) for name in sorted(differ)
    ]


def _of(exceptions: dict[str, str], cls: type) -> set[str]:
    return {name for name in exceptions if name.startswith(f"{cls.__name__}.")}
