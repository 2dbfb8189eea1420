"""Each distinct code of a workflow is a version, and an instance shows those it ran on, without a write for each step."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.authoring.registry import Registry
from orchestrator.engine.host import register
from orchestrator.engine.versions import version_of
from orchestrator.errors import VersionNotFound
from tests.engine.bench import Bench


def first() -> type[WorkflowEntrypoint[Any]]:
    class Nap(WorkflowEntrypoint):
        name = "nap"

        async def run(self, event: Any, step: Any) -> str:
            await step.sleep("nap", "1 hour")
            return "first"

    return Nap


def second() -> type[WorkflowEntrypoint[Any]]:
    class Nap(WorkflowEntrypoint):
        name = "nap"

        async def run(self, event: Any, step: Any) -> str:
            await step.sleep("nap", "1 hour")
            return "second"

    return Nap


def test_an_instance_shows_the_version_it_ran_on(bench: Bench) -> None:
    Nap = first()
    instance = bench.create(Nap)
    assert instance.describe().versions == []
    bench.work()
    mine = [version_of(bench.registry["nap"])]
    assert instance.describe().versions == mine
    bench.after("1 hour")
    assert instance.describe().versions == mine
    assert bench.rows("SELECT 1 FROM @changes") == []


def test_an_instance_that_is_undone_at_once_shows_its_version_too(bench: Bench) -> None:
    class Saga(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.do("charge", lambda: None, rollback=lambda output: None)
            raise ValueError("over")

    assert bench.run(Saga).describe().versions == [version_of(bench.registry["saga"])]


def test_an_instance_that_goes_on_with_other_code_shows_both_the_present_one_last(bench: Bench) -> None:
    old, new = first(), second()
    instance = bench.run(old)
    later = bench.worker(new)
    bench.clock.advance("1 hour")
    bench.work(later)
    assert instance.result(timeout=0) == "second"
    assert instance.describe().versions == [version_of(bench.registry["nap"]), version_of(later.registry["nap"])]
    assert "version" not in {event.type for event in instance.subscribe()}


def test_a_version_that_comes_back_is_shown_once_and_as_the_present_one(bench: Bench) -> None:
    instance = bench.run(first())
    later = bench.worker(second())
    instance.restart()
    bench.work(later)
    instance.restart()
    bench.work()
    assert instance.describe().versions == [version_of(later.registry["nap"]), version_of(bench.registry["nap"])]


def test_workers_register_their_versions_each_once_with_its_graph(bench: Bench) -> None:
    old = bench.worker(first())
    new = bench.worker(second())
    register(old)
    bench.clock.advance("1 minute")
    register(new)
    register(new)
    nap = bench.client.workflow("nap")
    newest, oldest = nap.versions()
    assert (newest.id, oldest.id) == (version_of(new.registry["nap"]), version_of(old.registry["nap"]))
    assert (newest.workflow, newest.class_name, newest.language) == ("nap", "second.<locals>.Nap", "python")
    assert newest.has_graph
    assert nap.version(oldest.id) == oldest
    assert [node["type"] for node in nap.graph()["workflow"]["nodes"]] == ["start", "step_sleep", "break"]
    assert nap.graph(oldest.id)["workflow"]["class_name"] == "Nap"
    bench.clock.advance("1 minute")
    register(old)
    assert nap.versions()[0].id == oldest.id


@pytest.mark.parametrize("id", ["nothing", "a\x00"])
def test_a_version_that_is_not_there_is_not_found(bench: Bench, id: str) -> None:
    register(bench.worker(first()))
    nap = bench.client.workflow("nap")
    with pytest.raises(VersionNotFound):
        nap.version(id)
    with pytest.raises(VersionNotFound):
        nap.graph(id)


def test_a_class_without_source_has_a_version_and_no_graph(bench: Bench) -> None:
    space: dict[str, Any] = {"WorkflowEntrypoint": WorkflowEntrypoint}
    exec("class Made(WorkflowEntrypoint):\n    async def run(self, event, step): return 1", space)
    register(bench.worker(registry=Registry([space["Made"]])))
    made = bench.client.workflow("made")
    (version,) = made.versions()
    assert not version.has_graph
    with pytest.raises(VersionNotFound, match="has no graph"):
        made.graph()
