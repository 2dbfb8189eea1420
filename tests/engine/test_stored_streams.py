"""What is stored of a stream: how it is looked at, and that it goes with its instance, its run, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.engine import pump
from orchestrator.errors import DatabaseUnavailable, StepNotFound, StepOutputCorrupt, UsageError
from orchestrator.store import streams
from tests.engine.bench import Bench, steps_of
from tests.engine.test_streams import KIB, LARGE, pumped


def downloading(parts: list[bytes], called: str = "download") -> type[WorkflowEntrypoint[Any]]:
    class Download(WorkflowEntrypoint):
        name = called

        async def run(self, event: Any, step: Any) -> Any:
            first = await step.do("first", lambda: iter(parts))
            second = await step.do("second", lambda: iter(parts))
            return first.size + second.size

    return Download


def test_deleting_an_instance_removes_its_streams_a_few_chunks_at_a_time(bench: Bench) -> None:
    instance = bench.run(downloading(LARGE * 20))
    kept = bench.run(downloading([b"kept"], "small"))
    chunks = len(bench.rows("SELECT 1 FROM @stream_chunks"))
    instance.delete()
    assert pump.tick(bench.runtime) == 20
    assert len(bench.rows("SELECT 1 FROM @stream_chunks")) == chunks - pump.CHUNKS
    pumped(bench)
    assert [row.data for row in bench.rows("SELECT data FROM @stream_chunks")] == [b"kept"] * 2
    assert kept.step("first").stream is not None


def test_deleting_in_a_batch_removes_them_too(bench: Bench) -> None:
    workflow = downloading(LARGE)
    ids = [bench.run(workflow).id for _ in range(2)]
    bench.client.workflow(workflow).delete_batch(ids)
    pumped(bench)
    assert bench.rows("SELECT 1 FROM @stream_chunks") == bench.rows("SELECT 1 FROM @streams") == []


@pytest.mark.cloudflare(22)
def test_a_restart_removes_them_and_one_from_a_step_keeps_those_before(bench: Bench) -> None:
    instance = bench.run(downloading(LARGE))
    first, second = (instance.step(name).stream for name in ("first", "second"))
    assert first is not None
    assert second is not None
    instance.restart(from_={"name": "second"})
    pumped(bench)
    assert len(first.read()) == 700 * KIB
    with pytest.raises(StepOutputCorrupt, match="is not there any more"):
        second.read()
    bench.work()
    assert instance.result(timeout=0) == 1400 * KIB
    instance.restart()
    pumped(bench)
    assert bench.rows("SELECT 1 FROM @stream_chunks") == []
    assert steps_of(instance.describe(run=1))["first-1"].stream_bytes == 700 * KIB
    bench.work()
    assert instance.result(timeout=0) == 1400 * KIB


def test_what_was_streamed_for_nothing_goes_when_the_instance_ends(bench: Bench) -> None:
    """The worker died between the last byte and the result."""

    class Download(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            await step.do("kept", lambda: iter([b"kept"]))
            await step.wait_for_event("approval", "answer")
            await step.do("lost", lambda: iter([b"lost"]))

    instance, other = bench.run(Download), bench.run(Download)

    def stream(connection: Any) -> int:
        opened = streams.open_(connection, instance._pk, 1, "do:lost:1", 1, "died")
        assert opened is not None
        streams.append(connection, instance._pk, 1, opened, 0, b"lost")
        assert streams.complete(connection, opened)
        return opened

    lost = bench.database.transaction(stream)
    bench.tidy()
    pumped(bench)
    assert len(bench.rows("SELECT 1 FROM @streams WHERE id = :id", id=lost)) == 1, "there may be another attempt"
    instance.terminate()
    bench.tidy()
    pumped(bench)
    assert [row.owner_id for row in bench.rows("SELECT owner_id FROM @streams ORDER BY id")] == [
        instance._pk,
        other._pk,
    ]
    assert [row.data for row in bench.rows("SELECT data FROM @stream_chunks")] == [b"kept"] * 2
    assert instance.step("kept").stream is not None


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        ([b"hello ", b"world"], "hello world"),
        (["grüße ".encode()[:3], "grüße ".encode()[3:]], "grüße "),
        ([b"x" * 1024], "x" * 1024),
        ([b"x" * 1025], "x" * 1024 + "[truncated output]"),
        (["é".encode() * 3000], "é" * 1024 + "[truncated output]"),
        ([b"x" * 10_000] * 100, "x" * 1024 + "[truncated output]"),
        ([b"\xff\xfe"], "[ReadableStream (binary): 2 bytes]"),
    ],
    ids=["text", "a letter in two", "just short enough", "too long", "two bytes each", "large", "binary"],
)
@pytest.mark.cloudflare(24)
def test_people_see_how_it_begins(bench: Bench, parts: list[bytes], shown: str) -> None:
    class Download(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            await step.do("get", lambda: iter(parts))

    step = steps_of(bench.run(Download))["get-1"]
    assert (step.output, step.stream_bytes) == (shown, sum(map(len, parts)))


@pytest.mark.cloudflare(26)
def test_a_sensitive_stream_is_handed_on_and_not_shown(bench: Bench) -> None:
    class Download(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            return (await step.do("get", {"sensitive": "output"}, lambda: iter([b"token-4711"]))).read().decode()

    instance = bench.run(Download)
    assert instance.result(timeout=0) == "token-4711"
    assert steps_of(instance)["get-1"].output == "[REDACTED]"
    shown = instance.step("get")
    assert (shown.output, shown.stream) == ("[REDACTED]", None)
    assert "4711" not in str(bench.rows("SELECT result FROM @steps"))


def test_a_step_gives_its_whole_output(bench: Bench) -> None:
    attempts: list[int] = []

    class Steps(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            def flaky() -> dict[str, str]:
                attempts.append(1)
                if len(attempts) == 1:
                    raise ValueError("not yet")
                return {"text": "x" * 100_000}

            await step.do("stream", lambda: iter(LARGE))
            await step.do("flaky", flaky, retries={"limit": 1, "delay": "1 minute"})
            await step.wait_for_event("approval", "answer")

    instance = bench.run(Steps)
    streamed = instance.step("stream")
    assert (streamed.status, streamed.output, streamed.error) == ("complete", None, None)
    assert streamed.stream is not None
    assert streamed.stream.read() == b"".join(LARGE)
    between = instance.step("flaky")
    assert (between.status, between.error) == ("retrying", {"name": "ValueError", "message": "not yet"})
    bench.after("1 minute")
    assert instance.step("flaky", count=1).output == {"text": "x" * 100_000}
    assert instance.step("flaky", attempt=2).output == {"text": "x" * 100_000}
    first = instance.step("flaky", attempt=1)
    assert (first.status, first.output, first.error) == ("errored", None, {"name": "ValueError", "message": "not yet"})
    waiting = instance.step("approval", type="waitForEvent")
    assert (waiting.status, waiting.event_type, waiting.output) == ("waiting", "answer", None)
    instance.send_event("answer", "yes")
    bench.work()
    assert instance.step("approval", type="waitForEvent").output["payload"] == "yes"
    with pytest.raises(StepNotFound, match=r"has not come to step other-1 \(do\)"):
        instance.step("other")
    with pytest.raises(StepNotFound, match="an attempt 3 of step flaky-1"):
        instance.step("flaky", attempt=3)
    with pytest.raises(UsageError, match="`type` of a step must be do, sleep or waitForEvent"):
        instance.step("flaky", type="rollback")


def test_the_output_of_an_instance_can_be_no_stream(bench: Bench) -> None:
    class Download(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            return await step.do("get", lambda: iter([b"x"]))

    instance = bench.run(Download)
    error = instance.status().error
    assert error is not None
    assert "is not serialisable" in error["message"]


@pytest.mark.parametrize("colour", ["def", "async def"])
def test_a_database_that_is_away_while_run_reads_a_stream_is_no_concern_of_its_code(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, colour: str
) -> None:
    reads: list[int] = []
    chunk = streams.chunk

    def away_once(*given: Any) -> Any:
        reads.append(1)
        if len(reads) == 1:
            raise DatabaseUnavailable("gone for a moment")
        return chunk(*given)

    monkeypatch.setattr(streams, "chunk", away_once)

    class Download(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            stream = await step.do("get", lambda: iter([b"abc"]))
            try:
                return (await stream.aread()).decode()
            except Exception as error:
                return repr(error)

    class BlockingDownload(WorkflowEntrypoint):
        def run(self, event: Any, step: Any) -> Any:
            try:
                return step.do("get", lambda: iter([b"abc"])).read().decode()
            except Exception as error:
                return repr(error)

    instance = bench.run(Download if colour == "async def" else BlockingDownload)
    bench.after("1 minute")
    pump.tick(bench.runtime)
    bench.work()
    assert (instance.result(timeout=0), len(reads)) == ("abc", 2)
    assert steps_of(instance)["get-1"].attempts == 1
