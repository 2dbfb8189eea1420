"""A database, an app served over it on a real socket, and a client on either side of the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from orchestrator import Client
from orchestrator.engine.host import register
from orchestrator.errors import OrchestratorError
from orchestrator.remote import RemoteClient
from tests.engine.bench import Bench
from tests.engine.conftest import bench, make_bench
from tests.remote.workflows import WORKFLOWS
from web import WebSettings, create_app, start

__all__ = ["bench", "make_bench"]


@dataclass
class Both:
    bench: Bench
    local: Client
    remote: RemoteClient

    def agree(self, ask: Callable[[Any], Any]) -> Any:
        """What both clients answer, which must be the same thing; for questions that change nothing."""
        local, remote = ask(self.local), ask(self.remote)
        assert local == remote
        return local

    def refuse(self, ask: Callable[[Any], Any], kind: type[OrchestratorError]) -> OrchestratorError:
        """The error of both, which must be one in class, code and words."""
        with pytest.raises(kind) as local:
            ask(self.local)
        with pytest.raises(kind) as remote:
            ask(self.remote)
        assert type(remote.value) is type(local.value)
        assert (remote.value.message, remote.value.code) == (local.value.message, local.value.code)
        assert vars(remote.value) == vars(local.value)
        return remote.value


@pytest.fixture
def both(bench: Bench) -> Iterator[Both]:
    for workflow in WORKFLOWS:
        bench.registry.add(workflow)
    register(bench.runtime)
    app = create_app(bench.client, registry=bench.registry, settings=WebSettings())
    with start(app, "127.0.0.1", 0) as server, RemoteClient(server.url) as remote:
        yield Both(bench, bench.client, remote)


@pytest.fixture(params=["local", "remote"])
def client(request: pytest.FixtureRequest, both: Both) -> Client | RemoteClient:
    """Each of the two: what a test of this says holds for both."""
    return both.local if request.param == "local" else both.remote
