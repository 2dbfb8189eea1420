"""Running on in place is for speed and must not starve anybody: judged by counts of the journal, never by the clock."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from orchestrator import Instance, WorkflowEntrypoint, WorkflowEvent, WorkflowStep
from orchestrator.authoring.registry import Registry
from orchestrator.settings import Settings
from orchestrator.store.database import Database
from orchestrator.store.schema import instances, steps
from tasks.embedded import Embedded

LONG, SHORT = 10_000, 50
RESULT_SECONDS = 100
#: A tenth of the default: what one turn of it may take must be little beside the whole on any machine.
BUDGET_MS = 100


async def noop(i: int) -> dict[str, int]:
    return {"i": i}


class Counting(WorkflowEntrypoint[int]):
    async def run(self, event: WorkflowEvent[int], step: WorkflowStep) -> int:
        return sum([(await step.do("count", noop, i))["i"] for i in range(event.payload)])


def journal_length(database: Database, instance: Instance, before_seq: int | None = None) -> int:
    """How many steps the instance has finished; with `before_seq`, before the journal's entry of that number."""
    count = select(func.count()).select_from(steps.join(instances, instances.c.id == steps.c.instance_id))
    count = count.where(instances.c.instance_id == instance.id)
    if before_seq is not None:
        count = count.where(steps.c.seq < before_seq)
    with database.read() as connection:
        return connection.execute(count).scalar_one()


def last_entry(database: Database, among: list[Instance]) -> int:
    newest = select(func.max(steps.c.seq)).select_from(steps.join(instances, instances.c.id == steps.c.instance_id))
    with database.read() as connection:
        return connection.execute(
            newest.where(instances.c.instance_id.in_([instance.id for instance in among]))
        ).scalar_one()


@pytest.mark.process
def test_fifty_short_instances_finish_while_a_long_one_runs_on_the_only_slot(sqlite_url: str) -> None:
    settings = Settings(
        database_url=sqlite_url, redis_url=None, concurrency=1, budget_ms=BUDGET_MS, sqlite_synchronous="NORMAL"
    )
    database = Database(sqlite_url)
    with Embedded(settings, Registry([Counting])) as service:
        workflow = service.client.workflow(Counting)
        long = workflow.create(LONG)
        for detail in long.watch(timeout=RESULT_SECONDS):
            if detail.step_count:
                break
        at_their_start = journal_length(database, long)
        short = [workflow.create(2) for _ in range(SHORT)]

        assert [instance.result(timeout=RESULT_SECONDS) for instance in short] == [1] * SHORT
        assert long.result(timeout=RESULT_SECONDS) == LONG * (LONG - 1) // 2

    meanwhile = journal_length(database, long, last_entry(database, short)) - at_their_start
    database.close()
    assert at_their_start < LONG / 4, "the long one was nearly done before the others came: this shows nothing"
    assert meanwhile < LONG / 4, f"the long one did {meanwhile} steps before all the others had done theirs"
