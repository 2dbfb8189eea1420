"""SQL of streams: the bytes a step has returned, in chunks, each a row of its own that is committed by itself.

A stream is `writing`, then `complete`, and `dropped` when nobody may read it any more; its chunks are then deleted a few
at a time. Whoever writes or drops holds the stream's row for a moment, so that no chunk comes after the drop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from orchestrator.store.sql import Statement

# An attempt that was given up or counted as failed may come back at any time, and must not touch its successor's stream.
_MAY_OPEN = Statement("""
    SELECT 1 FROM @instances WHERE id = :id AND run = :run AND status NOT IN ('complete', 'errored', 'terminated')
        AND NOT EXISTS (SELECT 1 FROM @steps WHERE instance_id = :id AND run = :run AND key = :key)
        AND NOT EXISTS (SELECT 1 FROM @attempts WHERE instance_id = :id AND run = :run AND key = :key
            AND (attempt > :attempt OR (attempt = :attempt AND state = 'failed')))
    {lock}
""")
_DROP_OF_STEP = Statement(
    "UPDATE @streams SET state = 'dropped' WHERE owner_id = :id AND key = :key AND state <> 'dropped'"
)
_OPEN = Statement("""
    INSERT INTO @streams (owner_id, run, key, worker, state, bytes) VALUES (:id, :run, :key, :worker, 'writing', 0)
    RETURNING id
""")
_GROW = Statement("""
    UPDATE @streams SET bytes = bytes + :size
    WHERE id = :stream AND state = 'writing' AND EXISTS (
        SELECT 1 FROM @instances i WHERE i.id = :id AND i.run = :run
            AND i.status NOT IN ('complete', 'errored', 'terminated'))
    RETURNING id
""")
_USED = Statement("SELECT coalesce(sum(bytes), 0) FROM @streams WHERE owner_id = :id AND state <> 'dropped'")
_APPEND = Statement("INSERT INTO @stream_chunks (stream_id, number, data) VALUES (:stream, :number, :data)")
_COMPLETE = Statement(
    "UPDATE @streams SET state = 'complete', worker = NULL WHERE id = :stream AND state = 'writing' RETURNING id"
)
_DROP = Statement("UPDATE @streams SET state = 'dropped' WHERE id = :stream AND state <> 'dropped'")
_DROP_OF_INSTANCES = Statement(
    "UPDATE @streams SET state = 'dropped' WHERE owner_id IN :ids AND state <> 'dropped'", "ids"
)
_DROP_OTHERS = Statement("""
    UPDATE @streams SET state = 'dropped' WHERE owner_id = :id AND state <> 'dropped'
        AND key NOT IN (SELECT key FROM @steps WHERE instance_id = :id AND run = :run)
""")
_DROP_OF_WORKER = Statement("UPDATE @streams SET state = 'dropped' WHERE worker = :worker AND state = 'writing'")
# In the order of their keys, so that two who do this wait for each other and not in a circle.
_DROP_UNREAD = Statement("""
    WITH unread AS {materialized} (
        SELECT id FROM @streams WHERE owner_id IN :ids AND state <> 'dropped'
            AND EXISTS (SELECT 1 FROM @ended e WHERE e.instance = owner_id AND e.run = @streams.run)
            AND NOT EXISTS (SELECT 1 FROM @steps s WHERE s.instance_id = owner_id AND s.run = @streams.run
                AND s.key = @streams.key AND s.result IS NOT NULL)
        ORDER BY id {lock})
    UPDATE @streams SET state = 'dropped' WHERE id IN (SELECT id FROM unread)
""", "ids")  # fmt: skip
_CHUNK = Statement("SELECT data FROM @stream_chunks WHERE stream_id = :stream AND number = :number")
_NEXT_DROPPED = Statement("SELECT id FROM @streams WHERE state = 'dropped' ORDER BY id LIMIT 1 {skip_locked}")
_DELETE_CHUNKS = Statement("""
    DELETE FROM @stream_chunks WHERE stream_id = :stream AND number IN (
        SELECT number FROM @stream_chunks WHERE stream_id = :stream ORDER BY number LIMIT :limit)
""")
_DELETE = Statement("DELETE FROM @streams WHERE id = :stream")


def open_(connection: Connection, id: int, run: int, key: str, attempt: int, worker: str) -> int | None:
    """Begin the stream of an attempt, in place of what earlier attempts have left; None if the attempt is over."""
    if _MAY_OPEN(connection, id=id, run=run, key=key, attempt=attempt).one_or_none() is None:
        return None
    _DROP_OF_STEP(connection, id=id, key=key)
    return int(_OPEN(connection, id=id, run=run, key=key, worker=worker).scalar_one())


def append(connection: Connection, id: int, run: int, stream: int, number: int, data: bytes) -> int | None:
    """Add a chunk; how many bytes the instance's streams hold after it. None, and nothing added: the stream is over."""
    if _GROW(connection, stream=stream, id=id, run=run, size=len(data)).one_or_none() is None:
        return None
    _APPEND(connection, stream=stream, number=number, data=data)
    return int(_USED(connection, id=id).scalar_one())


def complete(connection: Connection, stream: int) -> bool:
    return _COMPLETE(connection, stream=stream).one_or_none() is not None


def drop(connection: Connection, stream: int) -> None:
    _DROP(connection, stream=stream)


def drop_of_instances(connection: Connection, ids: Sequence[int]) -> None:
    _DROP_OF_INSTANCES(connection, ids=list(ids))


def drop_others(connection: Connection, id: int, run: int) -> None:
    """Drop the streams of an instance, but for those of steps that a run has in its journal."""
    _DROP_OTHERS(connection, id=id, run=run)


def drop_unread(connection: Connection, ids: Sequence[int]) -> None:
    """Drop what ended runs of these instances have streamed and no journal refers to, as the result was never stored."""
    _DROP_UNREAD(connection, ids=list(ids))


def drop_of_worker(connection: Connection, worker: str) -> None:
    """A dead worker's unfinished streams."""
    _DROP_OF_WORKER(connection, worker=worker)


def chunk(connection: Connection, stream: int, number: int) -> bytes | None:
    found: Any = _CHUNK(connection, stream=stream, number=number).scalar_one_or_none()
    return None if found is None else bytes(found)


def purge(connection: Connection, *, limit: int) -> int:
    """Delete up to `limit` chunks of a dropped stream, and the stream with its last; how many rows went."""
    stream = _NEXT_DROPPED(connection).scalar_one_or_none()
    if stream is None:
        return 0
    gone = _DELETE_CHUNKS(connection, stream=stream, limit=limit).rowcount
    if gone < limit:
        gone += _DELETE(connection, stream=stream).rowcount
    return gone
