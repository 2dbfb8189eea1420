"""SQL of the instances: making, claiming, letting go, ending. `@` stands for the prefix of our tables."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection

from orchestrator.statuses import InstanceStatus
from orchestrator.store import removals, streams
from orchestrator.store.driver import Row
from orchestrator.store.schema import tables_of_instances
from orchestrator.store.sql import Statement

InstanceRow = Row

_NEW = """workflow, instance_id, status, queue, params, trigger, success_retention_ms, error_retention_ms, ring_at,
        created_at, modified_at"""
_INSERT = Statement(f"""
    INSERT INTO @instances ({_NEW})
    VALUES (:workflow, :instance_id, 'queued', :queue, :params, :trigger, :success_retention_ms, :error_retention_ms,
        :ring_at, :now, :now)
    ON CONFLICT (workflow, instance_id) DO NOTHING RETURNING id
""")
# The rows of a batch as one JSON text: a batch is one round trip, whatever its length.
_INSERT_MANY = Statement(f"""
    INSERT INTO @instances ({_NEW})
    SELECT value ->> 'workflow', value ->> 'instance_id', 'queued', value ->> 'queue', value ->> 'params',
        value ->> 'trigger', CAST(value ->> 'success_retention_ms' AS bigint),
        CAST(value ->> 'error_retention_ms' AS bigint), CAST(value ->> 'ring_at' AS bigint),
        CAST(value ->> 'now' AS bigint), CAST(value ->> 'now' AS bigint)
    FROM {{json_rows}} WHERE true
    ON CONFLICT (workflow, instance_id) DO NOTHING RETURNING id, instance_id
""")

# The one compare-and-set of design law 2: whoever's fence this returns may write, until the fence moves on.
_CLAIMABLE = "holder IS NULL AND status IN ('queued', 'running', 'waiting', 'waitingForPause', 'rollingBack')"
_CLAIM_ANY = """
    UPDATE @instances SET holder = :worker, fence = fence + 1, ring_at = NULL, rings = 0,
        status = CASE WHEN status IN ('waitingForPause', 'rollingBack') THEN status ELSE 'running' END, place = NULL,
        started_at = coalesce(started_at, :now), modified_at = :now
    WHERE {which}
    RETURNING id, workflow, instance_id, status, run, queue, fence, wanted, lost, params, trigger, created_at,
        started_at, rollback, version
"""
_UNLIMITED = f"{_CLAIMABLE} AND place IS NULL AND NOT (workflow IN :limited)"
_CLAIM_WITH_SLOT = Statement(_CLAIM_ANY.replace("{which}", f"id = :id AND {_CLAIMABLE}"))
_CLAIM = Statement(_CLAIM_ANY.replace("{which}", f"id = :id AND {_CLAIMABLE} AND place IS NULL"))
_CLAIM_UNLIMITED = Statement(_CLAIM_ANY.replace("{which}", f"id = :id AND {_UNLIMITED}"), "limited")
_CLAIM_ALL = Statement(
    f"""
    WITH free AS {{materialized}} (
        SELECT id FROM @instances WHERE id IN :ids AND {_UNLIMITED} ORDER BY id {{skip_locked}})
    """
    + _CLAIM_ANY.replace("{which}", "id IN (SELECT id FROM free)"),
    "ids",
    "limited",
)
_RELEASE = Statement("""
    UPDATE @instances SET holder = NULL, status = :status, ring_at = :ring_at, modified_at = :now,
        paused_at = :paused_at, lost = 0, version = coalesce(:version, version)
    WHERE id = :id AND fence = :fence AND holder IS NOT NULL AND wanted = :wanted
""")
_GIVE_BACK = Statement("""
    UPDATE @instances SET holder = NULL, ring_at = :ring_at, lost = CASE :went_on WHEN 1 THEN 0 ELSE lost END,
        status = CASE WHEN status IN ('waitingForPause', 'rollingBack') THEN status ELSE :status END,
        version = coalesce(:version, version)
    WHERE id = :id AND fence = :fence AND holder IS NOT NULL
""")
_PUT_BACK = Statement("""
    UPDATE @instances AS i SET holder = NULL, ring_at = :ring_at, status = 'queued', started_at = NULL
    WHERE id = :id AND fence = :fence AND holder IS NOT NULL AND status = 'running'
        AND NOT EXISTS (SELECT 1 FROM @steps s WHERE s.instance_id = i.id AND s.run = i.run)
        AND NOT EXISTS (SELECT 1 FROM @attempts a WHERE a.instance_id = i.id AND a.run = i.run)
        AND NOT EXISTS (SELECT 1 FROM @timers t WHERE t.instance_id = i.id)
""")
# When it may be removed: as it says itself, or its workflow, or (keep_ms) the settings.
_EXPIRES = """expires_at = :now + coalesce(
            CASE :errored WHEN 1 THEN error_retention_ms ELSE success_retention_ms END,
            (SELECT CASE :errored WHEN 1 THEN w.error_retention_ms ELSE w.success_retention_ms END
                FROM @workflows w WHERE w.name = workflow),
            CAST(:keep_ms AS bigint))"""
AT_THE_END = f"""holder = NULL, status = :status, output = :output, error = :error, ring_at = NULL,
        ended_at = :now, modified_at = :now, version = coalesce(:version, version), {_EXPIRES}"""
_FINISH_TEXT = f"""
    UPDATE @instances SET {AT_THE_END}
    WHERE id = :id AND fence = :fence AND holder IS NOT NULL AND rollback IS NULL
"""
_FINISH = Statement(_FINISH_TEXT)
# On PostgreSQL the end and its note for those who count are one statement, one round trip.
_FINISH_AND_NOTE = Statement(
    """
    WITH ended AS ({finish} RETURNING id, run, workflow, status, started_at, ended_at)
    INSERT INTO @ended (instance, run, workflow, status, started_at, ended_at) SELECT * FROM ended
""".replace("{finish}", _FINISH_TEXT)
)
_NOTE_ENDED = Statement("""
    INSERT INTO @ended (instance, run, workflow, status, started_at, ended_at)
    SELECT id, run, workflow, :status, started_at, :now FROM @instances WHERE id = :id
    ON CONFLICT (instance, run) DO NOTHING
""")
_REQUEST_ROLLBACK = Statement("""
    UPDATE @instances SET status = 'rollingBack', rollback = :rollback, wanted = wanted + 1, paused_at = NULL,
        place = NULL, ring_at = CASE WHEN holder IS NULL THEN :ring_at ELSE ring_at END, rings = 0, modified_at = :now
    WHERE id = :id
""")
_BEGIN_ROLLBACK = Statement("""
    UPDATE @instances SET holder = NULL, status = CASE status WHEN 'waitingForPause' THEN status ELSE 'rollingBack' END,
        rollback = :rollback, error = coalesce(:error, error), ring_at = :ring_at, lost = 0, modified_at = :now,
        version = coalesce(:version, version)
    WHERE id = :id AND fence = :fence AND holder IS NOT NULL
""")
_END_ROLLBACK = Statement(f"""
    UPDATE @instances SET holder = NULL, status = :status, rollback = :rollback, ring_at = NULL, ended_at = :now,
        modified_at = :now, version = coalesce(:version, version), {_EXPIRES}
    WHERE id = :id AND fence = :fence AND holder IS NOT NULL
""")
# A fence whose claim was let go stands until the next claim, and is worth nothing: who let go without hearing of it, as
# the connection was lost, must not write any more.
FENCED = Statement(
    "SELECT wanted, status, rollback FROM @instances WHERE id = :id AND fence = :fence AND holder IS NOT NULL {lock}"
)
_PEEK = Statement(
    "SELECT wanted, status, rollback FROM @instances WHERE id = :id AND fence = :fence AND holder IS NOT NULL"
)
_STANDING = Statement("SELECT id, fence, wanted FROM @instances WHERE id IN :keys AND holder IS NOT NULL", "keys")
_OF_RUN = Statement("""
    SELECT id, workflow, instance_id, status, run, queue, fence, wanted, params, trigger, created_at, started_at,
        rollback
    FROM @instances WHERE id = :id
""")
LOCK = Statement("""
    SELECT id, workflow, instance_id, status, run, queue, holder, fence, wanted, ring_at, created_at, started_at,
        ended_at, paused_at, place, output, error, rollback
    FROM @instances WHERE id = :id {lock}
""")
_FIND = Statement("SELECT id, queue, status FROM @instances WHERE workflow = :workflow AND instance_id = :instance_id")
_STATE = Statement("SELECT status, output, error, rollback, run FROM @instances WHERE id = :id")
WANTED = """wanted = wanted + 1,
        ring_at = CASE WHEN holder IS NULL AND status <> 'paused' THEN {least}(coalesce(ring_at, :ring_at), :ring_at)
            ELSE ring_at END"""
WANT = Statement(f"""
    UPDATE @instances SET {WANTED}
    WHERE id = :id AND status NOT IN ('complete', 'errored', 'terminated') RETURNING holder, queue, status
""")
_WANT_HELD_UP = Statement(
    f"""
    WITH held_up AS {{materialized}} (
        SELECT id FROM @instances
        WHERE id IN (SELECT instance_id FROM @attempts WHERE id IN :attempts)
            AND status IN ('waitingForPause', 'rollingBack')
        ORDER BY id {{lock}})
    UPDATE @instances SET {WANTED} WHERE id IN (SELECT id FROM held_up)
    """,
    "attempts",
)
_SET_STATUS = Statement("""
    UPDATE @instances SET status = :status, wanted = wanted + 1, modified_at = :now, paused_at = :paused_at,
        ring_at = :ring_at, place = NULL
    WHERE id = :id
""")
_TERMINATE = Statement(f"""
    UPDATE @instances SET status = 'terminated', fence = fence + 1, holder = NULL, ring_at = NULL, paused_at = NULL,
        place = NULL, rollback = :rollback, ended_at = :now, modified_at = :now, {_EXPIRES}
    WHERE id = :id
""")
_CLEAR_LOST = Statement("UPDATE @instances SET lost = 0 WHERE id = :id AND fence = :fence")
_DELETES = tuple(Statement(f"DELETE FROM {table} WHERE instance_id = :id") for table in tables_of_instances())
_DELETE = Statement("DELETE FROM @instances WHERE id = :id")
_UNCOUNTED = Statement("SELECT run FROM @ended WHERE instance = :id")
_LOCK_IDS = Statement(
    "SELECT id, instance_id, queue FROM @instances WHERE workflow = :workflow AND instance_id IN :ids ORDER BY id {lock}",
    "ids",
)
_LOCK_SOME = Statement("SELECT id, queue FROM @instances WHERE id IN :keys ORDER BY id {lock}", "keys")
_EXPIRED = Statement(
    "SELECT id FROM @instances WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit {skip_locked}"
)
_QUEUES = Statement("SELECT id, queue FROM @instances WHERE id IN :keys", "keys")
_REMOVE = Statement("DELETE FROM @instances WHERE id IN :keys", "keys")
_HELD_BY = Statement(
    "SELECT id, fence FROM @instances "
    "WHERE status IN ('running', 'waitingForPause', 'rollingBack') AND holder = :worker"
)
_FREE = Statement("""
    UPDATE @instances SET holder = NULL, fence = fence + 1, lost = lost + 1, ring_at = :now, wanted = wanted + 1
    WHERE id = :id AND fence = :fence AND holder = :worker
""")
_DUE = Statement("""
    WITH due AS {materialized} (SELECT id FROM @instances WHERE ring_at <= :now ORDER BY ring_at LIMIT :limit {skip_locked})
    UPDATE @instances SET rings = CASE WHEN rings < 100 THEN rings + 1 ELSE rings END,
        ring_at = :now + CASE WHEN rings < 4 THEN :grace * (1 + rings) ELSE :grace * 12 END
    WHERE id IN (SELECT id FROM due)
    RETURNING id, queue, rings
""")
_HURRY = Statement(
    """
    WITH late AS {materialized} (
        SELECT id FROM @instances WHERE ring_at > :after AND workflow IN :workflows
        ORDER BY ring_at LIMIT :limit {skip_locked})
    UPDATE @instances SET ring_at = :now WHERE id IN (SELECT id FROM late) RETURNING id
    """,
    "workflows",
)
_SOMEONE_WAITS = Statement(
    "SELECT EXISTS (SELECT 1 FROM @instances WHERE ring_at IS NOT NULL AND queue = :queue AND id <> :id)"
)


def insert(connection: Connection, **row: Any) -> int | None:
    """The new row's key; None if the workflow has an instance of this id. Without retentions, those of above hold."""
    return _INSERT(connection, {"success_retention_ms": None, "error_retention_ms": None, **row}).scalar_one_or_none()


def insert_many(connection: Connection, rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """The new rows' keys by their instances' ids, without those that were there already.

    In the order of the ids, so that two batches that share some wait for each other and never for themselves.
    """
    ordered = sorted(rows, key=lambda row: str(row["instance_id"]))
    return {row.instance_id: row.id for row in _INSERT_MANY(connection, rows=json.dumps(ordered))}


def claim(
    connection: Connection,
    *,
    id: int,
    worker: str,
    now: int,
    limited: Collection[str] = (),
    in_line: bool = False,
) -> InstanceRow | None:
    """Claim an instance that nobody has and that needs no slot: none of a limited workflow, none in line for one.

    `in_line`: it has been given one.
    """
    if in_line:
        return _CLAIM_WITH_SLOT(connection, id=id, worker=worker, now=now).one_or_none()
    if limited:
        return _CLAIM_UNLIMITED(connection, id=id, worker=worker, now=now, limited=list(limited)).one_or_none()
    return _CLAIM(connection, id=id, worker=worker, now=now).one_or_none()


def claim_all(
    connection: Connection, *, ids: Sequence[int], worker: str, now: int, limited: Collection[str]
) -> Sequence[InstanceRow]:
    """Claim those of these that nobody has, or is just about to change, and that need no slot."""
    return _CLAIM_ALL(connection, ids=list(ids), worker=worker, now=now, limited=list(limited)).all()


def release(
    connection: Connection,
    *,
    id: int,
    fence: int,
    wanted: int,
    status: str,
    now: int,
    ring_at: int | None = None,
    version: str | None = None,
) -> bool:
    """Let go, unless there is news since `wanted` was read or the fence has moved on."""
    values = {"id": id, "fence": fence, "wanted": wanted, "status": status, "now": now, "ring_at": ring_at}
    values["version"] = version
    values["paused_at"] = now if status == InstanceStatus.PAUSED else None
    return _RELEASE(connection, values).rowcount == 1


def give_back(
    connection: Connection,
    *,
    id: int,
    fence: int,
    status: str,
    ring_at: int | None,
    went_on: bool = False,
    version: str | None = None,
) -> bool:
    """Let go whatever the news: it will be read by whoever claims next. `went_on`: deaths before this one are past."""
    values = {"id": id, "fence": fence, "status": status, "ring_at": ring_at, "went_on": int(went_on)}
    values["version"] = version
    return _GIVE_BACK(connection, values).rowcount == 1


def put_back(connection: Connection, *, id: int, fence: int, ring_at: int) -> bool:
    """Let go of an instance that has not begun, as if it had never been claimed. False if it has."""
    return _PUT_BACK(connection, id=id, fence=fence, ring_at=ring_at).rowcount == 1


def finish(
    connection: Connection,
    *,
    id: int,
    fence: int,
    status: str,
    output: str | None,
    error: str | None,
    now: int,
    keep_ms: int,
    version: str | None = None,
) -> bool:
    """End it; False if the fence has moved on, or a rollback was asked for.

    `keep_ms`: how long to keep it if neither it nor its workflow says so.
    """
    values = {"id": id, "fence": fence, "status": status, "output": output, "error": error, "now": now}
    values["version"] = version
    values |= {"errored": int(status == InstanceStatus.ERRORED), "keep_ms": keep_ms}
    if connection.dialect.name == "postgresql":
        return _FINISH_AND_NOTE(connection, values).rowcount == 1
    return _FINISH(connection, values).rowcount == 1 and note_ended(connection, id, status=status, now=now)


def note_ended(connection: Connection, id: int, *, status: str, now: int) -> bool:
    """Put the present run on the list of those that are to be counted, in the transaction that ends it."""
    return _NOTE_ENDED(connection, id=id, status=status, now=now).rowcount <= 1


def request_rollback(connection: Connection, id: int, *, rollback: str, ring_at: int, now: int) -> None:
    """Ask whoever holds the instance, or comes next, to undo it. The caller holds the lock on the row."""
    _REQUEST_ROLLBACK(connection, id=id, rollback=rollback, ring_at=ring_at, now=now)


def begin_rollback(
    connection: Connection,
    *,
    id: int,
    fence: int,
    rollback: str,
    error: str | None,
    ring_at: int,
    now: int,
    version: str | None = None,
) -> bool:
    """Let go of an instance that is to be undone."""
    values = {"id": id, "fence": fence, "rollback": rollback, "error": error, "ring_at": ring_at, "now": now}
    values["version"] = version
    return _BEGIN_ROLLBACK(connection, values).rowcount == 1


def end_rollback(
    connection: Connection,
    *,
    id: int,
    fence: int,
    status: str,
    rollback: str | None,
    now: int,
    keep_ms: int,
    version: str | None = None,
) -> bool:
    values = {"id": id, "fence": fence, "status": status, "rollback": rollback, "now": now, "keep_ms": keep_ms}
    values["version"] = version
    values["errored"] = int(status == InstanceStatus.ERRORED)
    return _END_ROLLBACK(connection, values).rowcount == 1 and note_ended(connection, id, status=status, now=now)


def fenced(connection: Connection, *, id: int, fence: int) -> InstanceRow | None:
    """Lock the row for the rest of the transaction and say (wanted, status, rollback); None: the fence has moved on."""
    return FENCED(connection, id=id, fence=fence).one_or_none()


def peek(connection: Connection, *, id: int, fence: int) -> InstanceRow | None:
    """(wanted, status, rollback) without a lock; None if the fence has moved on."""
    return _PEEK(connection, id=id, fence=fence).one_or_none()


def standing(connection: Connection, keys: Sequence[int]) -> set[tuple[int, int, int]]:
    """(id, fence, wanted) of those that are held."""
    return {tuple(row) for row in _STANDING(connection, keys=list(keys)).rows}


def of_run(connection: Connection, id: int) -> InstanceRow | None:
    """What is needed to drive an instance's function without holding it."""
    return _OF_RUN(connection, id=id).one_or_none()


def lock(connection: Connection, id: int) -> InstanceRow | None:
    return LOCK(connection, id=id).one_or_none()


def find(connection: Connection, workflow: str, instance_id: str) -> InstanceRow | None:
    return _FIND(connection, workflow=workflow, instance_id=instance_id).one_or_none()


def state(connection: Connection, id: int) -> InstanceRow | None:
    return _STATE(connection, id=id).one_or_none()


def want(connection: Connection, id: int, *, ring_at: int) -> InstanceRow | None:
    """Tell the holder that there is news, or note that someone must be rung; (holder, queue, status).

    Nobody is rung for an instance that is paused, and there is no news for one that has ended.
    """
    return WANT(connection, id=id, ring_at=ring_at).one_or_none()


def want_held_up(connection: Connection, by: Sequence[int], *, ring_at: int) -> None:
    """`want`, for those that wait for these attempts to end, so as to be paused or undone: nobody else takes them up."""
    _WANT_HELD_UP(connection, attempts=list(by), ring_at=ring_at)


def set_status(
    connection: Connection,
    id: int,
    status: str,
    *,
    now: int,
    paused_at: int | None = None,
    ring_at: int | None = None,
) -> None:
    _SET_STATUS(connection, id=id, status=status, now=now, paused_at=paused_at, ring_at=ring_at)


def terminate(connection: Connection, id: int, *, now: int, keep_ms: int, rollback: str | None = None) -> None:
    _TERMINATE(connection, id=id, now=now, errored=0, keep_ms=keep_ms, rollback=rollback)
    note_ended(connection, id, status=InstanceStatus.TERMINATED, now=now)


def delete(connection: Connection, id: int) -> None:
    if _UNCOUNTED(connection, id=id).rows:
        remove(connection, [id])  # what it consisted of is counted first
        return
    for statement in _DELETES:
        statement(connection, id=id)
    streams.drop_of_instances(connection, [id])
    _DELETE(connection, id=id)


def delete_ids(connection: Connection, workflow: str, ids: Sequence[str]) -> Sequence[InstanceRow]:
    """Remove instances at once, and leave what they stored to the pump; (id, instance_id, queue) of those there were."""
    found = _LOCK_IDS(connection, workflow=workflow, ids=list(ids)).all()
    if found:
        remove(connection, [row.id for row in found])
    return found


def lock_some(connection: Connection, keys: Sequence[int]) -> Sequence[InstanceRow]:
    """(id, queue)"""
    return _LOCK_SOME(connection, keys=list(keys)).all()


def expired(connection: Connection, *, now: int, limit: int) -> list[int]:
    """The keys of instances that were kept for long enough, locked."""
    return _EXPIRED(connection, now=now, limit=limit).scalars()


def remove(connection: Connection, keys: Sequence[int]) -> None:
    """Remove rows; what stands elsewhere under their keys is taken down by `removals`, in small pieces."""
    removals.add(connection, keys)
    streams.drop_of_instances(connection, keys)
    _REMOVE(connection, keys=list(keys))


def clear_lost(connection: Connection, *, id: int, fence: int) -> None:
    _CLEAR_LOST(connection, id=id, fence=fence)


def held_by(connection: Connection, worker: str) -> Sequence[InstanceRow]:
    """(id, fence) of the claims of a worker."""
    return _HELD_BY(connection, worker=worker).all()


def free(connection: Connection, *, id: int, fence: int, worker: str, now: int) -> bool:
    """Take one claim of a dead worker away, and note that something was lost with it."""
    return _FREE(connection, id=id, fence=fence, worker=worker, now=now).rowcount == 1


def due_to_ring(connection: Connection, *, now: int, grace: int, limit: int) -> Sequence[InstanceRow]:
    """(id, queue, rings) of unclaimed instances whose ring was not answered, each put off: 1 to 4, then 12 times the grace."""
    return _DUE(connection, now=now, grace=grace, limit=limit).all()


def hurry(connection: Connection, *, workflows: Sequence[str], now: int, after: int, limit: int) -> int:
    """Ring at once for instances of these workflows that would have been rung for only after a moment; how many."""
    values = {"workflows": list(workflows), "now": now, "after": after, "limit": limit}
    return len(_HURRY(connection, values).all())


def queues_of(connection: Connection, keys: Sequence[int]) -> list[Row]:
    """(id, queue) of those that are there."""
    return _QUEUES(connection, keys=list(keys)).all()


def someone_waits(connection: Connection, *, queue: str, id: int) -> bool:
    return bool(_SOMEONE_WAITS(connection, queue=queue, id=id).scalar_one())
