"""A step may return a stream of bytes: stored in chunks while it comes, and read again as often as anybody likes."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.authoring.streams import ByteStream
from orchestrator.engine import pump, streams
from orchestrator.errors import ResultTimeout, StepNotFound, StepOutputCorrupt, UsageError
from tests.engine.bench import Bench, Bodies, Own, steps_of

KIB = 1024
LARGE = [bytes([number % 256]) * 100 * KIB for number in range(7)]
"""More than two stored chunks, and no multiple of one."""

SHAPES = [
    "generator",
    "iterator",
    "async generator",
    "returned async generator",
    "async def",
    "bytearrays",
    "file",
    "typed",
]


def body_of(shape: str, parts: list[bytes], tmp_path: Path) -> Callable[[], Any]:
    def generator() -> Any:
        yield from parts

    async def async_generator() -> Any:
        for part in parts:
            await asyncio.sleep(0)
            yield part

    async def returns_an_iterator() -> Any:
        return iter(parts)

    def file() -> Any:
        (tmp_path / "large").write_bytes(b"".join(parts))
        return (tmp_path / "large").open("rb")

    def typed() -> Iterator[bytes]:
        yield from parts

    return {
        "generator": generator,
        "iterator": lambda: iter(parts),
        "async generator": async_generator,
        "returned async generator": lambda: async_generator(),
        "async def": returns_an_iterator,
        "bytearrays": lambda: (kind(part) for part in parts for kind in (bytearray,)),
        "file": file,
        "typed": typed,
    }[shape]


def pumped(bench: Bench) -> None:
    while bench.rows("SELECT 1 FROM @streams WHERE state = 'dropped'"):
        pump.tick(bench.runtime)


@pytest.mark.parametrize("run_colour", ["def", "async def"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_workflow_reads_the_same_bytes_on_the_first_run_and_on_replay(
    bench: Bench, bodies: Bodies, tmp_path: Path, shape: str, run_colour: str
) -> None:
    body = body_of(shape, LARGE, tmp_path)
    expected = b"".join(LARGE)

    class Download(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            stream = await step.do("download", body)
            bodies.ran.append("run")
            assert b"".join([chunk async for chunk in stream]) == b"".join(stream) == stream.read() == expected
            assert await stream.aread() == expected
            length = await step.do("measure", lambda given: sum(map(len, given)), stream)
            await step.sleep("nap", "1 minute")
            return [length, stream.size]

    class BlockingDownload(WorkflowEntrypoint):
        def run(self, event: Any, step: Any) -> Any:
            stream = step.do("download", body)
            bodies.ran.append("run")
            assert b"".join(stream) == stream.read() == expected
            length = step.do("measure", lambda given: sum(map(len, given)), stream)
            step.sleep("nap", "1 minute")
            return [length, stream.size]

    instance = bench.run(Download if run_colour == "async def" else BlockingDownload)
    bench.restart_process()
    bench.after("1 minute")
    assert instance.result(timeout=0) == [len(expected), len(expected)]
    assert bodies.count("run") == 2
    sizes = [row.size for row in bench.rows("SELECT length(data) AS size FROM @stream_chunks ORDER BY number")]
    assert sizes == [256 * KIB, 256 * KIB, 188 * KIB]
    assert bench.rows("SELECT state, bytes FROM @streams") == [("complete", len(expected))]


@pytest.mark.parametrize("shape", ["generator", "async generator"])
def test_a_stream_may_be_empty(bench: Bench, tmp_path: Path, shape: str) -> None:
    class Empty(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            stream = await step.do("nothing", body_of(shape, [], tmp_path))
            return [list(stream), stream.size, len(stream.read())]

    instance = bench.run(Empty)
    assert instance.result(timeout=0) == [[], 0, 0]
    assert steps_of(instance)["nothing-1"].output == ""


def test_another_step_reads_it_and_may_pass_it_on(bench: Bench) -> None:
    class Pipe(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            raw = await step.do("download", lambda: iter([b"abc", b"def"]))

            async def shout(given: ByteStream) -> AsyncIterator[bytes]:
                async for chunk in given:
                    yield chunk.upper()

            loud = await step.do("shout", shout, raw)
            same = await step.do("same", lambda given: given, loud)
            return await step.do("read", lambda given: given.read().decode(), same)

    assert bench.run(Pipe).result(timeout=0) == "ABCDEF"


def test_shared_steps_may_return_streams(bench: Bench) -> None:
    class Fan(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            parts = [step.do(name, lambda name=name: iter([name.encode()] * 3)) for name in "abc"]
            rendered = step.do("render", lambda: iter([b"gpu"]), queue="gpu")
            return [stream.read().decode() for stream in await asyncio.gather(*parts, rendered)]

    instance = bench.run(Fan)
    bench.work(bench.worker(registry=bench.registry, queues=("gpu",)))
    bench.work()
    assert instance.result(timeout=0) == ["aaa", "bbb", "ccc", "gpu"]


def test_an_iterator_whose_annotation_says_something_else_is_a_value(bench: Bench) -> None:
    class Values(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            def numbers() -> Iterable[int]:
                yield from (1, 2)

            def texts() -> list[bytes]:
                return [b"a"]

            return [list(await step.do("numbers", numbers)), len(await step.do("texts", texts))]

    assert bench.run(Values).result(timeout=0) == [[1, 2], 1]
    assert bench.rows("SELECT 1 FROM @streams") == []


def test_a_value_that_looks_like_a_stored_stream_is_a_value(bench: Bench) -> None:
    lookalike = {"stream": 1, "bytes": 2, "chunks": 3, "preview": "x"}

    class Sly(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            first = await step.do("sly", lambda: lookalike)
            await step.sleep("nap", "1 minute")
            return first

    instance = bench.run(Sly)
    bench.restart_process()
    bench.after("1 minute")
    assert instance.result(timeout=0) == steps_of(instance)["sly-1"].output == lookalike


# --- failing


@pytest.mark.parametrize("colour", ["def", "async def"])
def test_a_stream_that_breaks_fails_its_attempt_and_what_was_stored_of_it_is_removed(bench: Bench, colour: str) -> None:
    attempts: list[int] = []

    def broken() -> Any:
        attempts.append(1)
        yield from LARGE
        if len(attempts) == 1:
            raise ConnectionResetError("gone away")

    async def broken_later() -> Any:
        for part in broken():
            yield part

    class Download(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            body = broken if colour == "def" else broken_later
            return (await step.do("download", body, retries={"limit": 1, "delay": "1 minute"})).size

    instance = bench.run(Download)
    step = steps_of(instance)["download-1"]
    assert step.error == {"name": "ConnectionResetError", "message": "gone away"}
    pumped(bench)
    assert bench.rows("SELECT stream_id FROM @stream_chunks") == bench.rows("SELECT id FROM @streams") == []
    bench.after("1 minute")
    assert instance.result(timeout=0) == 700 * KIB


@pytest.mark.parametrize("colour", ["def", "async def"])
def test_a_timeout_while_it_is_written_fails_the_attempt_and_removes_what_there_is(bench: Bench, colour: str) -> None:
    end = threading.Event()

    def slow() -> Any:
        while not end.wait(0.01):
            yield bytes(100 * KIB)

    async def slow_later() -> Any:
        while not end.is_set():
            await asyncio.sleep(0.01)
            yield bytes(100 * KIB)

    class Slow(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            body = slow if colour == "def" else slow_later
            await step.do("slow", {"timeout": 200, "retries": {"limit": 0, "delay": 0}}, body)

    instance = bench.run(Slow)
    end.set()
    error = instance.status().error
    assert error == {"name": "StepTimeoutError", "message": "Execution timed out after 200ms"}
    pumped(bench)
    assert bench.rows("SELECT 1 FROM @stream_chunks") == bench.rows("SELECT 1 FROM @streams") == []


def closed_generator() -> Any:
    made = (part for part in LARGE)
    made.close()
    return made


async def closed_async_generator() -> Any:
    async def parts() -> Any:
        yield b"x"

    made = parts()
    await made.aclose()
    return made


def closed_file() -> Any:
    made = io.BytesIO(b"x")
    made.close()
    return made


@pytest.mark.parametrize(
    ("body", "name", "detail"),
    [
        (
            lambda: iter(["text"]),
            "UnsupportedStreamChunkError",
            "with unsupported chunk type. Only bytes, bytearray and",
        ),
        (lambda: iter([b"x", None]), "UnsupportedStreamChunkError", "are supported, not NoneType."),
        (lambda: iter([bytes(16 * KIB * KIB + 1)]), "OversizedStreamChunkError", "a chunk of 16,777,217 bytes"),
        (closed_generator, "InvalidStepReadableStreamError", "already locked or otherwise unreadable"),
        (closed_async_generator, "InvalidStepReadableStreamError", "already locked or otherwise unreadable"),
        (closed_file, "InvalidStepReadableStreamError", "already locked or otherwise unreadable"),
    ],
    ids=["text", "none", "oversized", "closed generator", "closed async generator", "closed file"],
)
def test_what_is_no_stream_of_bytes_ends_the_instance_whatever_its_code_would_do(
    bench: Bench, bodies: Bodies, body: Any, name: str, detail: str
) -> None:
    class Careful(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            try:
                await step.do("get", body)
            except Exception:
                bodies.ran.append("handler")

    instance = bench.run(Careful)
    error = instance.status().error
    assert error is not None
    assert error["name"] == name
    assert error["message"].startswith(
        'The execution of the Workflow instance was terminated, as the step "get" returned an invalid ReadableStream '
        "output. Step returned a ReadableStream "
    )
    assert detail in error["message"]
    assert (steps_of(instance)["get-1"].attempts, bodies.ran) == (1, [])
    pumped(bench)
    assert bench.rows("SELECT 1 FROM @stream_chunks") == []


def test_a_chunk_of_16_mib_is_fine_and_is_stored_in_smaller_ones(bench: Bench) -> None:
    class One(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            return (await step.do("get", lambda: iter([bytes(16 * KIB * KIB)]))).size

    assert bench.run(One).result(timeout=0) == 16 * KIB * KIB
    (stored,) = bench.rows("SELECT count(*) AS n, max(length(data)) AS largest FROM @stream_chunks")
    assert (stored.n, stored.largest) == (64, 256 * KIB)


def test_the_streams_of_an_instance_may_hold_so_much_together(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_instance_bytes=900 * KIB)

    class Two(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            await step.do("first", lambda: iter(LARGE))
            await step.do("second", lambda: iter(LARGE))

    instance = bench.run(Two)
    assert instance.status().error == {
        "name": "StorageLimitExceeded", "message": "The instance has exceeded the 921,600 bytes storage limit",
    }  # fmt: skip
    pumped(bench)
    assert bench.rows("SELECT bytes FROM @streams") == [(700 * KIB,)]
    assert make_bench().settings.max_instance_bytes == KIB**3


def test_an_attempt_that_does_not_count_any_more_stores_nothing_and_harms_nobody(bench: Bench) -> None:
    held, go_on = threading.Event(), threading.Event()
    bodies: list[int] = []

    class Slow(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            def body(ctx: Any) -> Any:
                bodies.append(ctx.attempt)
                if ctx.attempt == 1:
                    held.set()
                    go_on.wait(20)
                yield from LARGE

            return (await step.do("get", body, retries={"limit": 1, "delay": 0})).size

    lost = bench.worker(registry=bench.registry)
    bench.beat(lost)
    instance = bench.create(Slow)
    thread = threading.Thread(target=bench.work, args=[lost])
    thread.start()
    assert held.wait(20)
    bench.clock.advance("1 minute")
    bench.beat(bench.runtime)
    pump.tick(bench.runtime)
    bench.work()
    assert (instance.result(timeout=0), bodies) == (700 * KIB, [1, 2])
    go_on.set()
    thread.join(20)
    assert bench.rows("SELECT state FROM @streams") == [("complete",)]
    assert instance.step("get").stream is not None
    assert len(instance.step("get").stream.read()) == 700 * KIB  # type: ignore[union-attr]


def test_what_a_dead_worker_was_writing_is_removed(bench: Bench) -> None:
    class Died(BaseException):
        pass

    class Download(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            return (await step.do("get", lambda: iter(LARGE), retries={"limit": 1, "delay": "1 day"})).size

    dead = bench.worker(registry=bench.registry)
    bench.beat(dead)
    bench.create(Download)
    with pytest.MonkeyPatch.context() as patched:

        def die(*given: Any) -> None:
            raise Died

        patched.setattr(streams._Writer, "finish", die)
        patched.setattr(streams._Writer, "abort", lambda self: None)
        patched.setattr("orchestrator.engine.commits.commit", die)
        patched.setattr("orchestrator.engine.activation.commit", die)
        with pytest.raises(Died):
            bench.work(dead)
    assert len(bench.rows("SELECT 1 FROM @stream_chunks")) == 2
    bench.clock.advance("1 minute")
    bench.beat(bench.runtime)
    pump.tick(bench.runtime)
    pumped(bench)
    assert bench.rows("SELECT 1 FROM @stream_chunks") == bench.rows("SELECT 1 FROM @streams") == []


def test_a_stream_of_a_terminated_instance_stops_being_written(bench: Bench, own: Own) -> None:
    class Endless(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            def body() -> Any:
                yield from LARGE
                own(event).terminate()
                while True:
                    yield LARGE[0]

            await step.do("get", body)

    assert bench.run(Endless).status().status == "terminated"
    pumped(bench)
    assert bench.rows("SELECT 1 FROM @stream_chunks") == []


# --- keeping and removing


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
    assert pump.tick(bench.runtime) == 0
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


# --- looking at it


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
def test_people_see_how_it_begins(bench: Bench, parts: list[bytes], shown: str) -> None:
    class Download(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            await step.do("get", lambda: iter(parts))

    step = steps_of(bench.run(Download))["get-1"]
    assert (step.output, step.stream_bytes) == (shown, sum(map(len, parts)))


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


def test_other_steps_go_on_while_a_large_stream_is_written(bench: Bench) -> None:
    """Nothing of the instance is locked between two chunks."""
    written = threading.Event()

    class Two(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            async def large() -> AsyncIterator[bytes]:
                for part in LARGE:
                    yield part
                assert await asyncio.to_thread(written.wait, 20)
                yield b"end"

            async def others() -> None:
                for number in range(20):
                    await step.do(f"small {number}", lambda: None)
                await step.do("written", written.set)

            stream, _ = await asyncio.gather(step.do("large", large), others())
            return stream.size

    instance = bench.create(Two)
    bench.settle()
    try:
        assert instance.result(timeout=10) == 700 * KIB + 3
    except ResultTimeout:
        bench.settle()
        raise
