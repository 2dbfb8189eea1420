"""What happens to instances is published at least once and in order, whatever the broker does meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.engine import publishing
from orchestrator.engine.chores import do
from tests.engine.bench import Bench, Failing

NEVER = {"retries": {"limit": 0, "delay": 0}}


class Post:
    """A broker that may be away, or go away after so many messages."""

    def __init__(self) -> None:
        self.room = 10_000
        self.messages: list[dict[str, Any]] = []

    def publish(self, messages: Sequence[dict[str, Any]]) -> int:
        taken = min(self.room, len(messages))
        self.room -= taken
        self.messages += messages[:taken]
        return taken

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(m["payload"]["instanceId"], m["type"].rpartition(".")[2]) for m in self.messages]


class Nap(WorkflowEntrypoint):
    async def run(self, event: Any, step: Any) -> None:
        await step.sleep("nap", "1 hour")


class Bad(WorkflowEntrypoint):
    async def run(self, event: Any, step: Any) -> None:
        await step.do("break", NEVER, Failing())


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def published(make_bench: Callable[..., Bench], post: Post) -> Bench:
    bench = make_bench(events_url="memory://", events_keep=50)
    bench.runtime.publisher = post
    return bench


def test_a_life_is_published_from_its_queue_to_its_end(published: Bench, post: Post) -> None:
    nap = published.run(Nap, id="n-1")
    nap.pause()
    nap.resume()
    published.after("1 hour")
    do(published.runtime)
    assert post.told == [("n-1", "queued"), ("n-1", "started"), ("n-1", "paused"), ("n-1", "completed")]
    first = post.messages[0]
    assert first == {
        "type": "workflows.workflow.instance.queued",
        "source": {"type": "workflows.workflow", "workflowName": "nap"},
        "payload": {"versionId": first["payload"]["versionId"], "instanceId": "n-1"},
        "metadata": {
            "eventId": first["metadata"]["eventId"],
            "eventSchemaVersion": 1,
            "eventTimestamp": "2027-01-15T08:00:00.000Z",
        },
    }
    ids = [message["metadata"]["eventId"] for message in post.messages]
    assert ids == sorted(set(ids))


def test_failures_terminations_and_restarts_are_published(published: Bench, post: Post) -> None:
    published.run(Bad, id="b-1")
    nap = published.run(Nap, id="n-1")
    nap.restart()
    published.work()
    nap.terminate()
    do(published.runtime)
    assert [type for id, type in post.told if id == "b-1"] == ["queued", "started", "errored"]
    assert [type for id, type in post.told if id == "n-1"] == [
        "queued", "started", "queued", "started", "terminated",
    ]  # fmt: skip


def test_an_instance_that_is_paused_while_it_works_is_published_when_it_stands_still(
    published: Bench, post: Post
) -> None:
    class Two(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.do("one", lambda: own.pause())
            await step.do("two", lambda: None)

    own = published.create(Two, id="t-1")
    published.work()
    do(published.runtime)
    assert post.told == [("t-1", "queued"), ("t-1", "started"), ("t-1", "paused")]


def test_what_a_broker_did_not_take_is_published_later_and_once_in_order(published: Bench, post: Post) -> None:
    post.room = 2
    published.run(Nap, id="n-1")
    published.run(Nap, id="n-2")
    do(published.runtime)
    do(published.runtime)
    assert len(post.told) == 2
    post.room = 100
    do(published.runtime)
    assert post.told == [("n-1", "queued"), ("n-1", "started"), ("n-2", "queued"), ("n-2", "started")]
    assert published.rows("SELECT 1 FROM @outbox") == []


def test_what_was_done_to_an_instance_is_published_after_it_was_deleted(published: Bench, post: Post) -> None:
    nap = published.run(Nap, id="n-1")
    nap.delete()
    do(published.runtime)
    assert post.told == [("n-1", "queued"), ("n-1", "started")]


def test_one_process_at_a_time_publishes_and_another_follows_when_it_is_gone(published: Bench, post: Post) -> None:
    published.run(Nap, id="n-1")
    post.room = 0
    do(published.runtime)
    other = published.worker(publisher=Post())
    assert isinstance(other.publisher, Post)
    do(other)
    assert other.publisher.told == []
    published.clock.advance(publishing.LEASE_MS + 1)
    do(other)
    assert len(other.publisher.told) == 2


def test_a_publisher_that_lost_its_turn_removes_nothing(published: Bench) -> None:
    published.run(Nap, id="n-1")

    class Slow(Post):
        def publish(self, messages: Sequence[dict[str, Any]]) -> int:
            published.clock.advance(publishing.LEASE_MS + 1)
            other = published.worker(publisher=Post())
            other.publisher.room = 0  # type: ignore[union-attr]
            do(other)
            return super().publish(messages)

    published.runtime.publisher = Slow()
    do(published.runtime)
    assert len(published.rows("SELECT 1 FROM @outbox")) == 2


def test_what_waits_for_a_broker_is_bounded_and_the_newest_is_kept(published: Bench, post: Post) -> None:
    for n in range(40):
        published.run(Nap, id=f"n-{n}")
    do(published.runtime)
    assert len(post.told) == 50
    assert post.told[-1] == ("n-39", "started")


def test_batches_are_published(published: Bench, post: Post) -> None:
    published.registry.add(Nap)
    published.client.workflow(Nap).create_batch(count=3)
    do(published.runtime)
    assert [type for _, type in post.told] == ["queued"] * 3


def test_nothing_is_written_where_nobody_is_to_be_told(bench: Bench) -> None:
    bench.run(Nap).terminate()
    assert bench.rows("SELECT 1 FROM @outbox") == []
