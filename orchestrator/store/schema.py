"""The tables, each index with the query it serves; it must not hold any behaviour.

Times are epoch milliseconds of the database's clock. JSON is text: it is written and read whole, and exactly as it was.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s"})

BigKey = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER PRIMARY KEY numbers its rows by itself in SQLite
PREFIX = "orchestrator_"
HEAD = "0001"
"""The migration this code needs; a test holds it against the migrations."""


def _key() -> Column[int]:
    return Column("id", BigKey, Identity(), primary_key=True)


instances = Table(
    PREFIX + "instances",
    metadata,
    _key(),
    Column("workflow", String(64), nullable=False),
    Column("instance_id", String(271), nullable=False),
    Column("status", String(16), nullable=False),
    Column("run", Integer, nullable=False, server_default="1"),  # grows with each restart
    Column("queue", String(128), nullable=False),
    Column("holder", String(64)),  # the worker process that works on it now
    Column("fence", BigInteger, nullable=False, server_default="0"),  # grows with each claim; writes are conditional
    Column("wanted", BigInteger, nullable=False, server_default="0"),  # grows when there is news for the holder
    Column("lost", Integer, nullable=False, server_default="0"),  # a holder died: what it ran costs one attempt
    Column("ring_at", BigInteger),  # when the pump rings (again) if nobody has claimed it; NULL: nothing to do
    Column("rings", SmallInteger, nullable=False, server_default="0"),
    Column("params", Text, nullable=False),
    Column("output", Text),
    Column("error", Text),
    Column("rollback", Text),  # what it is undone for, how far that is, and how it ended; NULL: nothing is undone
    Column("trigger", String(16), nullable=False),
    Column("version", String(64)),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("modified_at", BigInteger, nullable=False),
    Column("paused_at", BigInteger),
    Column("place", BigInteger),  # in line for a slot of its limited workflow, smallest first; NULL: in no line
    Column("success_retention_ms", BigInteger),  # its own; NULL: as the workflow or the settings say
    Column("error_retention_ms", BigInteger),
    Column("expires_at", BigInteger),  # when it may be removed, known once it has ended; NULL: never
    UniqueConstraint("workflow", "instance_id", name="uq_orchestrator_instances_id"),
    # the pump: what is due to be rung
    Index(
        "ix_orchestrator_instances_ring_at",
        "ring_at",
        postgresql_where=text("ring_at IS NOT NULL"),
        sqlite_where=text("ring_at IS NOT NULL"),
    ),
    # the pump: what has been kept for long enough
    Index(
        "ix_orchestrator_instances_expires_at",
        "expires_at",
        postgresql_where=text("expires_at IS NOT NULL"),
        sqlite_where=text("expires_at IS NOT NULL"),
    ),
    # who is in line for a slot of a limited workflow
    Index(
        "ix_orchestrator_instances_place",
        "workflow",
        "place",
        "id",
        postgresql_where=text("place IS NOT NULL"),
        sqlite_where=text("place IS NOT NULL"),
    ),
    # lists of one workflow, newest first
    Index("ix_orchestrator_instances_workflow", "workflow", "id"),
    # lists and counts by status; the claims of a dead worker
    Index("ix_orchestrator_instances_status", "status", "workflow", "id"),
    # a page with room to spare lets an update that touches no index stay on its page (HOT)
    postgresql_with={"fillfactor": "80"},
    # a key that was deleted must never be given out again: whoever still works for the old instance would meet the new one
    sqlite_autoincrement=True,
)

runs = Table(  # what a restart leaves behind of the runs before it; their steps stay in `steps`
    PREFIX + "runs",
    metadata,
    Column("instance_id", BigKey, primary_key=True, autoincrement=False),
    Column("run", Integer, primary_key=True, autoincrement=False),
    Column("status", String(16), nullable=False),
    Column("output", Text),
    Column("error", Text),
    Column("rollback", Text),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("next_key", Text),  # the step that the next run was begun from; NULL: it was begun from the beginning
    Column("next_position", Integer),  # the place of that step in the order of calls: what came before it was kept
)

steps = Table(  # the journal: one row for each command that was answered, inserted once and never changed
    PREFIX + "steps",
    metadata,
    # Written under the instance's row lock, so its order is the order of commits within an instance: replay's order.
    Column("seq", BigKey, Identity(), primary_key=True),
    Column("instance_id", BigInteger, nullable=False),
    Column("run", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("position", Integer, nullable=False),  # its number in the order of calls
    Column("result", Text),
    Column("error", Text),
    Column("config", Text),  # as first resolved; NULL: the default
    Column("attempts", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("worker", String(64)),
    # the journal of one run; and one result for one step, whoever computes it
    UniqueConstraint("instance_id", "run", "key", name="uq_orchestrator_steps_key"),
)

attempts = Table(  # what failed, what waits to be taken by any worker, and what has been running for a while
    PREFIX + "attempts",
    metadata,
    _key(),
    Column("instance_id", BigInteger, nullable=False),
    Column("run", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", String(8), nullable=False),
    Column("queue", String(128), nullable=False),
    Column("worker", String(64)),
    Column("config", Text),
    Column("started_at", BigInteger),
    Column("deadline_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("ring_at", BigInteger),
    Column("error", Text),
    UniqueConstraint("instance_id", "run", "key", "attempt", name="uq_orchestrator_attempts_number"),
    # the pump: attempts past their deadline, and ready ones that nobody took
    Index(
        "ix_orchestrator_attempts_deadline_at",
        "deadline_at",
        postgresql_where=text("state = 'running'"),
        sqlite_where=text("state = 'running'"),
    ),
    Index(
        "ix_orchestrator_attempts_ring_at",
        "ring_at",
        postgresql_where=text("ring_at IS NOT NULL"),
        sqlite_where=text("ring_at IS NOT NULL"),
    ),
    sqlite_autoincrement=True,  # the row is the right to report: see instances
)

timers = (
    Table(  # everything that waits: sleeps, asyncio's timers, retry delays, and waits for events with their timeouts
        PREFIX + "timers",
        metadata,
        Column("instance_id", BigInteger, primary_key=True, autoincrement=False),
        Column("key", Text, primary_key=True),
        Column("kind", String(16), nullable=False),
        Column("position", Integer, nullable=False),
        Column("event_type", String(100)),
        Column("queue", String(128), nullable=False),
        Column("started_at", BigInteger, nullable=False),
        Column("due_at", BigInteger, nullable=False),
        Column("ring_at", BigInteger),  # NULL while the instance is paused
        # the pump: what comes due within the horizon
        Index(
            "ix_orchestrator_timers_ring_at",
            "ring_at",
            postgresql_where=text("ring_at IS NOT NULL"),
            sqlite_where=text("ring_at IS NOT NULL"),
        ),
    )
)

events = Table(
    PREFIX + "events",
    metadata,
    _key(),
    Column("instance_id", BigInteger, nullable=False),
    Column("run", Integer, nullable=False),
    Column("type", String(100), nullable=False),
    Column("payload", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("consumed_by", Text),  # the key of the wait that took it
    # the oldest event of a type that nobody has taken yet
    Index("ix_orchestrator_events_instance_id", "instance_id", "type", "id"),
)

streams = Table(  # bytes that steps have returned as streams: one row for each stream, its chunks in a table of their own
    PREFIX + "streams",
    metadata,
    _key(),
    # Not called instance_id: removing an instance drops its streams, and the pump deletes them a few chunks at a time.
    Column("owner_id", BigInteger, nullable=False),
    Column("run", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("worker", String(64)),  # who writes it
    Column("state", String(8), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    # those of an instance; what it stores in all
    Index("ix_orchestrator_streams_owner_id", "owner_id"),
    # the pump: what is to be deleted; those that a dead worker was writing
    Index(
        "ix_orchestrator_streams_state",
        "state",
        "id",
        postgresql_where=text("state <> 'complete'"),
        sqlite_where=text("state <> 'complete'"),
    ),
    sqlite_autoincrement=True,  # whoever still reads a deleted stream must not meet another one
)

stream_chunks = Table(
    PREFIX + "stream_chunks",
    metadata,
    Column("stream_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

jobs = Table(  # what goes over all instances of a workflow in the background
    PREFIX + "jobs",
    metadata,
    _key(),
    Column("kind", String(16), nullable=False),
    Column("workflow", String(64), nullable=False),
    Column("statuses", Text, nullable=False),
    Column("last", BigInteger, nullable=False),  # the instance it has come to
    Column("up_to", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("run_at", BigInteger, nullable=False),  # when somebody may go on with it
    UniqueConstraint("kind", "workflow", name="uq_orchestrator_jobs_kind"),
)

rates = Table(  # how fast instances may be created, where that is limited: one row for each limit
    PREFIX + "rates",
    metadata,
    Column("scope", String(64), primary_key=True),  # a workflow, or "" for all of them
    Column("paid_at_us", BigInteger, nullable=False),
)

removals = Table(  # instances that are gone, whose rows in other tables are still to be taken down, in small pieces
    PREFIX + "removals",
    metadata,
    Column("id", BigKey, primary_key=True, autoincrement=False),
)

schedules = Table(  # who starts what when
    PREFIX + "schedules",
    metadata,
    _key(),
    Column("workflow", String(64), nullable=False),
    Column("source", String(8), nullable=False),
    Column("cron", String(256), nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("params", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("paused_at", BigInteger),
    Column("next_at", BigInteger),  # NULL while it is paused
    Column("last_at", BigInteger),
    UniqueConstraint("workflow", "source", "cron", "timezone", name="uq_orchestrator_schedules_cron"),
    # the pump: whose moment has come
    Index(
        "ix_orchestrator_schedules_next_at",
        "next_at",
        postgresql_where=text("next_at IS NOT NULL"),
        sqlite_where=text("next_at IS NOT NULL"),
    ),
    sqlite_autoincrement=True,  # who pauses what has been removed must not meet another
)

changes = Table(  # what somebody did to an instance from outside, and what came of it: rare, and in no other row
    PREFIX + "changes",
    metadata,
    _key(),
    Column("instance_id", BigInteger, nullable=False),
    Column("run", Integer, nullable=False),
    Column("type", String(32), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("data", Text),
    Index("ix_orchestrator_changes_instance_id", "instance_id", "run", "id"),
)

history = Table(  # what subscribers were told, numbered: written when the first of them asks, and never by a worker
    PREFIX + "history",
    metadata,
    Column("instance_id", BigKey, primary_key=True, autoincrement=False),
    Column("event_id", Integer, primary_key=True, autoincrement=False),
    Column("run", Integer, nullable=False),
    Column("type", String(32), nullable=False),
    Column("key", Text, nullable=False),  # of the step; empty where it is about the instance
    Column("number", BigInteger, nullable=False),  # of the attempt, or what else tells two of a kind apart
    Column("at", BigInteger, nullable=False),
    Column("data", Text),  # NULL: large, and read from where it is stored already
)

workers = Table(  # one heartbeat row for each process that works
    PREFIX + "workers",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("started_at", BigInteger, nullable=False),
    Column("heartbeat_at", BigInteger, nullable=False),
    Column("info", Text, nullable=False),
)

workflows = Table(  # every workflow a worker has ever registered
    PREFIX + "workflows",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("class_name", Text, nullable=False),
    Column("module", Text, nullable=False),
    Column("queue", String(128), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("declared", Text, nullable=False, server_default="{}"),  # what its class says, as JSON
    Column("configured", Text, nullable=False, server_default="{}"),  # what was set from outside, which counts more
    # what holds of both; NULL: no limit, or as the settings say
    Column("step_limit", Integer),
    Column("concurrency_limit", Integer),
    Column("success_retention_ms", BigInteger),
    Column("error_retention_ms", BigInteger),
)


outbox = Table(  # what has happened to instances and is still to be published; it outlives the instances themselves
    PREFIX + "outbox",
    metadata,
    _key(),
    Column("workflow", String(64), nullable=False),
    Column("instance", String(271), nullable=False),
    Column("version", String(64)),
    Column("type", String(16), nullable=False),
    Column("at", BigInteger, nullable=False),
    sqlite_autoincrement=True,  # the number tells whoever reads that a message has come twice
)

leases = Table(  # work that one process at a time may do, until then
    PREFIX + "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("until_at", BigInteger, nullable=False),
)


messages = Table(  # what came in through a queue and was dealt with: it may come again
    PREFIX + "messages",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Index("ix_orchestrator_messages_at", "at"),
)

rejected = Table(  # messages that could not be carried out
    PREFIX + "rejected",
    metadata,
    _key(),
    Column("message_id", String(255)),
    Column("queue", String(255), nullable=False),
    Column("body", Text, nullable=False),
    Column("code", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

tokens = Table(  # who may use the REST interface; of the secret only its hash is kept
    PREFIX + "tokens",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("role", String(8), nullable=False),
    Column("workflows", Text, nullable=False),  # JSON: patterns of names
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("used_at", BigInteger),  # to the minute
)

answers = Table(  # what requests with an Idempotency-Key were answered, for whoever sends one again
    PREFIX + "answers",
    metadata,
    Column("owner", String(32), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("request", String(64), nullable=False),  # hash of its method, path and body
    Column("claim", String(32), nullable=False),  # whose it is to carry out
    Column("at", BigInteger, nullable=False),
    Column("state", String(8), nullable=False),  # working; done, with its changes; answered
    Column("status", Integer),
    Column("headers", Text),  # JSON
    Column("body", Text),
    Index("ix_orchestrator_answers_at", "at"),
)

audit = Table(  # every change that somebody asked for, whatever came of it
    PREFIX + "audit",
    metadata,
    _key(),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("action", String(64), nullable=False),
    Column("target", Text, nullable=False),
    Column("result", String(64), nullable=False),
    Column("request_id", String(64)),
)


versions = Table(  # each distinct code of a workflow that a worker has registered
    PREFIX + "versions",
    metadata,
    Column("workflow", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("class_name", Text, nullable=False),
    Column("module", Text, nullable=False),
    Column("graph", Text),  # NULL: its source was not at hand
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)


ended = Table(  # runs that have ended and are not counted yet; it outlives the instances themselves
    PREFIX + "ended",
    metadata,
    Column("instance", BigKey, primary_key=True, autoincrement=False),
    Column("run", Integer, primary_key=True, autoincrement=False),
    Column("workflow", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger, nullable=False),
)

_THOUSANDS = [1, 2, 5, 10, 20, 50, 100, 200, 500]
_LONGER = [1000 * s for s in (1, 2, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600)]
BUCKET_BOUNDS_MS = (*_THOUSANDS, *_LONGER)
"""What falls into a bucket takes at most so long; the last bucket has no bound."""
BUCKETS = tuple(f"b{number}" for number in range(len(BUCKET_BOUNDS_MS) + 1))

rollups = Table(  # how many, how long, how many attempts: by hour, workflow, step and what came of it
    PREFIX + "rollups",
    metadata,
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("workflow", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("step", String(256), primary_key=True),
    Column("outcome", String(16), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("sum_ms", BigInteger, nullable=False),
    Column("min_ms", BigInteger, nullable=False),
    Column("max_ms", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in BUCKETS),
)


def tables_of_instances() -> list[str]:
    """The tables whose rows belong to an instance, by its key: what goes when it goes."""
    return [
        table.name
        for table in metadata.sorted_tables
        if "instance_id" in table.c and not isinstance(table.c.instance_id.type, String)
    ]
