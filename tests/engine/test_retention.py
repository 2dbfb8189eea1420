"""Ended instances are kept as long as they, their workflow or the settings say, and then go with all they have stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import Settings, WorkflowEntrypoint
from orchestrator.client import Instance
from orchestrator.engine import housekeeping
from orchestrator.engine.host import register
from orchestrator.errors import InvalidRetention, SettingsError, SetupError
from orchestrator.store.schema import tables_of_instances
from tests.engine.bench import Bench

DAY_MS = 86_400_000


class Keeper(WorkflowEntrypoint):
    """Leaves a row in every table there is."""

    name = "keeper"

    async def run(self, event: Any, step: Any) -> str:
        if event.payload.get("wait"):
            await step.wait_for_event("wait", "go")
        await step.sleep("nap", 1)
        if event.payload.get("fail"):
            await step.do("fail", {"retries": {"limit": 0, "delay": 0}}, lambda: 1 / 0)
        return str(await step.do("work", lambda: "done"))


class Short(Keeper):
    name = "short"
    default_retention = {"success_retention": "2 days", "error_retention": "4 days"}  # noqa: RUF012


def ended(bench: Bench, workflow: type[WorkflowEntrypoint[Any]], id: str, how: str, **more: Any) -> Instance:
    bench.registry.add(workflow)
    params = {"fail": how == "errored", "wait": how == "terminated"}
    instance = bench.client.workflow(workflow).create(params, id=id, **more)
    bench.work()
    if how == "terminated":
        instance.terminate()
    else:
        bench.after(1)
    assert instance.status().status == how
    return instance


def there(bench: Bench) -> list[str]:
    return sorted(row.instance_id for row in bench.rows("SELECT instance_id FROM @instances"))


def days_kept(bench: Bench, id: str) -> float:
    (row,) = bench.rows("SELECT expires_at - ended_at AS kept FROM @instances WHERE instance_id = :id", id=id)
    return float(row.kept) / DAY_MS


@pytest.mark.parametrize(("how", "days"), [("complete", 5), ("terminated", 5), ("errored", 6)])
def test_without_any_word_it_is_kept_as_the_settings_say(make_bench: Callable[..., Bench], how: str, days: int) -> None:
    bench = make_bench(success_retention="5 days", error_retention="6 days")
    ended(bench, Keeper, "one", how)
    assert days_kept(bench, "one") == days
    bench.after(days * DAY_MS - 2)
    assert there(bench) == ["one"]
    bench.after(2)
    assert there(bench) == []


@pytest.mark.parametrize(("how", "default", "own"), [("complete", 2, 1), ("terminated", 2, 1), ("errored", 4, 3)])
def test_a_workflow_says_more_than_the_settings_and_an_instance_more_than_its_workflow(
    bench: Bench, how: str, default: int, own: int
) -> None:
    bench.registry.add(Short)
    register(bench.runtime)
    ended(bench, Short, "default", how)
    ended(bench, Short, "own", how, retention={"success_retention": "1 day", "error_retention": 3 * DAY_MS})
    other = {"error_retention": "1 day"} if how != "errored" else {"success_retention": "1 day"}
    ended(bench, Short, "other", how, retention=other)
    assert [days_kept(bench, id) for id in ("default", "own", "other")] == [default, own, default]


def test_a_default_that_is_set_from_outside_holds_for_what_ends_from_then_on(bench: Bench) -> None:
    bench.registry.add(Short)
    register(bench.runtime)
    short = bench.client.workflow(Short)
    assert short.describe().default_retention == {"success_retention": 2 * DAY_MS, "error_retention": 4 * DAY_MS}
    short.configure(default_retention={"success_retention": "forever"})
    ended(bench, Short, "kept", "complete")
    ended(bench, Short, "gone", "errored")
    bench.after("20 years")
    assert there(bench) == ["kept"]


def test_everything_of_an_instance_goes_with_it_and_nothing_of_others(bench: Bench) -> None:
    ended(bench, Keeper, "old", "errored", retention={"error_retention": "1 day"})
    ended(bench, Keeper, "young", "errored")
    (old, young) = [row.id for row in bench.rows("SELECT id FROM @instances ORDER BY id")]
    bench.client.workflow(Keeper).get("young").restart()
    bench.work()
    bench.after(1)
    kept = {table: _of(bench, table, young) for table in tables_of_instances()}
    bench.after("1 day")
    bench.tidy()
    assert there(bench) == ["young"]
    assert {table: _of(bench, table, old) for table in tables_of_instances()} == dict.fromkeys(kept, 0)
    assert {table: _of(bench, table, young) for table in tables_of_instances()} == kept
    assert kept["orchestrator_steps"] > 0
    assert bench.client.workflow(Keeper).create(id="old").id == "old"


def test_an_instance_that_is_restarted_is_kept(bench: Bench) -> None:
    instance = ended(bench, Keeper, "again", "complete", retention={"success_retention": "1 day"})
    bench.clock.advance("23 hours")
    instance.restart()
    bench.work()
    bench.after("2 hours")
    assert there(bench) == ["again"]
    bench.after("1 day")
    assert there(bench) == []


def test_what_has_not_ended_is_kept_however_old_it_is(bench: Bench) -> None:
    instance = bench.run(Keeper, {"wait": True}, "waits")
    bench.clock.advance("10 hours")
    for _ in range(3):
        assert not housekeeping.tidy(bench.runtime)
    assert there(bench) == [instance.id]


def test_many_go_in_small_pieces(bench: Bench) -> None:
    bench.registry.add(Keeper)
    bench.client.workflow(Keeper).create_batch(count=100, retention={"success_retention": "1 day"})
    bench.client.workflow(Keeper).create_batch(count=30, retention={"success_retention": "1 day"})
    bench.work()
    bench.clock.advance(1)
    bench.work()
    bench.clock.advance("1 day")
    left = []
    for _ in range(2):
        housekeeping.tidy(bench.runtime)
        left.append(len(there(bench)))
    bench.tidy()
    assert left == [30, 0]
    assert bench.rows("SELECT 1 FROM @steps") == []
    assert bench.rows("SELECT 1 FROM @removals") == []


def test_what_is_due_is_found_by_an_index(bench: Bench) -> None:
    """So that a million rows that are kept cost the look for those that are not nothing."""
    query = "SELECT id FROM orchestrator_instances WHERE expires_at <= 5 ORDER BY expires_at LIMIT 100"

    def explain(connection: Any) -> str:
        if bench.database.is_sqlite:
            return str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").all())
        for other in ("seqscan", "bitmapscan", "sort"):  # an empty table is read whole unless that is forbidden
            connection.exec_driver_sql(f"SET LOCAL enable_{other} = off")
        return str(connection.exec_driver_sql(f"EXPLAIN {query}").all())

    plan = bench.database.transaction(explain)
    assert "ix_orchestrator_instances_expires_at" in plan
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize(
    "given",
    ["7 days", 7, {"success": "7 days"}, {"success_retention": "soon"}, {"error_retention": 0}, {"error_retention": -1},
     {"success_retention": "0 days"}, {"success_retention": True}],
)  # fmt: skip
def test_a_retention_that_can_not_be_read_is_refused(bench: Bench, given: Any) -> None:
    bench.registry.add(Keeper)
    register(bench.runtime)
    keeper = bench.client.workflow(Keeper)
    with pytest.raises(InvalidRetention):
        keeper.create(retention=given)
    with pytest.raises(InvalidRetention):
        keeper.configure(default_retention=given)
    with pytest.raises(SetupError):
        bench.registry.add(type("Wrong", (Keeper,), {"default_retention": given, "name": "wrong"}))
    assert there(bench) == []


def test_a_retention_of_the_settings_that_can_not_be_read_is_refused() -> None:
    with pytest.raises(SettingsError, match="success_retention"):
        Settings(success_retention="for a while")
    with pytest.raises(SettingsError, match="audit_retention"):
        Settings(audit_retention="0 days")
    assert Settings(error_retention="forever").keep_ms(errored=True) > 1000 * 365 * DAY_MS


def _of(bench: Bench, table: str, key: int) -> int:
    return int(bench.rows(f"SELECT count(*) FROM {table} WHERE instance_id = {key}")[0][0])
