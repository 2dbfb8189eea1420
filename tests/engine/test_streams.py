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
from orchestrator.errors import ResultTimeout
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
@pytest.mark.cloudflare(20)
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
@pytest.mark.cloudflare(20)
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
@pytest.mark.cloudflare(23)
def test_a_timeout_while_it_is_written_fails_the_attempt_and_removes_what_there_is(bench: Bench, colour: str) -> None:
    end = threading.Event()
    stored: list[int] = []

    def look() -> None:
        stored.append(len(bench.rows("SELECT 1 FROM @stream_chunks")))

    def slow() -> Any:
        while not end.wait(0.01):
            yield bytes(100 * KIB)
            look()

    async def slow_later() -> Any:
        while not end.is_set():
            await asyncio.sleep(0.01)
            yield bytes(100 * KIB)
            look()

    class Slow(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            body = slow if colour == "def" else slow_later
            await step.do("slow", {"timeout": 1000, "retries": {"limit": 0, "delay": 0}}, body)

    instance = bench.run(Slow)
    end.set()
    error = instance.status().error
    assert error == {"name": "StepTimeoutError", "message": "Execution timed out after 1000ms"}
    assert max(stored) > 0, "there was something to remove"
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
@pytest.mark.cloudflare(21)
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


@pytest.mark.cloudflare(18)
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
