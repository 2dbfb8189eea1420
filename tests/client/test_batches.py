"""Batches: one transaction, one announcement, and an error of its own for each part that can't be carried out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from orchestrator import WorkflowClient, WorkflowEntrypoint
from orchestrator.doorbell import Ring
from orchestrator.engine import housekeeping
from orchestrator.errors import (
    InstanceAlreadyExists,
    InvalidBatch,
    InvalidInstanceId,
    InvalidParams,
    InvalidRetention,
    OrchestratorError,
    PayloadTooLarge,
)
from tests.engine.bench import Bench, Bodies

RESERVED = ["batch", "terminate", "terminateAll", "latest", "cf_" + "0123456789abcdef" * 4]


class Order(BaseModel):
    n: int


class Count(WorkflowEntrypoint[Order]):
    async def run(self, event: Any, step: Any) -> int:
        return int(await step.do("count", lambda: event.payload.n + 1))


class Echo(WorkflowEntrypoint):
    async def run(self, event: Any, step: Any) -> Any:
        return [event.payload, event.instance_id]


@pytest.fixture
def echo(bench: Bench) -> WorkflowClient[Any]:
    bench.registry.add(Echo)
    return bench.client.workflow(Echo)


def ids(bench: Bench) -> list[str]:
    return [row.instance_id for row in bench.rows("SELECT instance_id FROM @instances ORDER BY instance_id")]


def rung(bench: Bench) -> list[list[int]]:
    """The messages there are, by the instances that each tells of."""
    found = []
    while (ring := bench.doorbell.due()) is not None:
        found.append([ring.instance_pk, *ring.others])
    return found


@pytest.mark.parametrize(("count", "messages"), [(1, [1]), (2, [2]), (50, [50]), (51, [50, 1]), (100, [50, 50])])
def test_one_message_tells_of_many(bench: Bench, echo: WorkflowClient[Any], count: int, messages: list[int]) -> None:
    echo.create_batch(count=count)
    told = rung(bench)
    assert [len(pks) for pks in told] == messages
    assert [pk for pks in told for pk in pks] == [row.id for row in bench.rows("SELECT id FROM @instances ORDER BY id")]


@pytest.mark.parametrize("colour", ["def", "async def"])
@pytest.mark.parametrize("limit", [None, 1, 7])
def test_all_of_a_batch_come_to_their_end_once(bench: Bench, bodies: Bodies, colour: str, limit: int | None) -> None:
    """Also where bodies would hold each other up, and where only so many may go on at a time."""

    def body(n: int) -> str:
        return str(bodies(str(n))())

    async def later(n: int) -> str:
        return body(n)

    class Few(WorkflowEntrypoint[Any]):
        concurrency = {"limit": limit} if limit else {}

        async def run(self, event: Any, step: Any) -> Any:
            fn = body if colour == "def" else later
            await step.do("first", fn, event.payload)
            await step.sleep("a while", 1)
            return await step.do("second", fn, event.payload)

    bench.registry.add(Few)
    batch = bench.client.workflow(Few).create_batch([{"params": n} for n in range(20)])
    for _ in range(60):
        bench.after(5)
    assert [instance.result(timeout=0) for instance in batch.created] == [str(n) for n in range(20)]
    assert sorted(bodies.ran) == sorted(str(n) for n in [*range(20), *range(20)])


@pytest.mark.cloudflare(50)
def test_a_batch_by_count_starts_that_many_alike(bench: Bench, echo: WorkflowClient[Any]) -> None:
    batch = echo.create_batch(count=100, params={"n": 1})
    assert (len({instance.id for instance in batch.created}), batch.errors) == (100, [])
    bench.work()
    assert {tuple(instance.result(timeout=0)[0].items()) for instance in batch.created} == {(("n", 1),)}


def test_a_batch_is_one_transaction_and_one_announcement(bench: Bench, echo: WorkflowClient[Any]) -> None:
    published: list[int] = []

    class Bell:
        grace_ms = 5000
        failures = 0

        def ring(self, rings: Sequence[Ring]) -> None:
            published.append(sum(1 + len(ring.others) for ring in rings))

    bench.client.desk.doorbell = Bell()
    assert len(echo.create_batch(count=7).created) == 7
    assert published == [7]


@pytest.mark.cloudflare(53)
def test_each_instance_of_a_list_has_its_own_id_and_params(bench: Bench) -> None:
    bench.registry.add(Count)
    batch = bench.client.workflow(Count).create_batch(
        [{"id": "two", "params": {"n": 2}}, {"params": Order(n=1)}, {"id": "default"}], params={"n": 0}
    )
    bench.work()
    assert [instance.result(timeout=0) for instance in batch.created] == [3, 2, 1]
    assert (batch.created[0].id, batch.created[2].id, batch.errors) == ("two", "default", [])


def test_ids_that_are_taken_or_doubled_are_errors_of_their_own(bench: Bench, echo: WorkflowClient[Any]) -> None:
    echo.create("first", id="taken")
    batch = echo.create_batch(
        [{"id": id, "params": n} for n, id in enumerate(["new", "taken", "new", "other", "taken"])]
    )
    assert [instance.id for instance in batch.created] == ["new", "other"]
    assert [(error.index, error.id, error.code) for error in batch.errors] == [
        (1, "taken", 10405),
        (2, "new", 10415),
        (4, "taken", 10415),
    ]
    assert "already exists" in batch.errors[0].message
    bench.work()
    assert echo.get("new").result(timeout=0) == [0, "new"]
    assert echo.get("taken").result(timeout=0) == ["first", "taken"]


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({}, InvalidBatch, "either `instances`"),
        ({"count": 1, "instances": [{}]}, InvalidBatch, "not both"),
        ({"count": 0}, InvalidBatch, "count must be a positive integer"),
        ({"count": -1}, InvalidBatch, "count must be a positive integer"),
        ({"count": 1.5}, InvalidBatch, "count must be a positive integer"),
        ({"count": True}, InvalidBatch, "count must be a positive integer"),
        ({"count": 101}, InvalidBatch, "100 instances at a time"),
        ({"instances": []}, InvalidBatch, "1 to 100"),
        ({"instances": [{}] * 101}, InvalidBatch, "not 101"),
        ({"instances": "abc"}, InvalidBatch, "a list"),
        ({"instances": [{}, "abc"]}, InvalidBatch, r"instances\[1\]"),
        ({"instances": [{"id": "ok"}, {"idd": "x"}]}, InvalidBatch, "has no idd"),
        ({"instances": [{"id": "ok"}, {"id": "not ok"}]}, InvalidInstanceId, "'not ok'"),
        ({"instances": [{"id": "ok"}, {"id": "batch"}]}, InvalidInstanceId, "reserved"),
        ({"instances": [{"id": "ok", "retention": {"success": 1}}]}, InvalidRetention, "success_retention"),
        ({"count": 2, "retention": {"error_retention": "soon"}}, InvalidRetention, "error_retention"),
    ],
)
@pytest.mark.cloudflare(50)
def test_a_batch_that_is_wrong_creates_nothing(
    bench: Bench, echo: WorkflowClient[Any], arguments: dict[str, Any], error: type[OrchestratorError], says: str
) -> None:
    with pytest.raises(error, match=says):
        echo.create_batch(**arguments)
    assert ids(bench) == []
    assert bench.doorbell.pending() == []


def test_params_of_one_that_do_not_fit_keep_all_from_being_created(bench: Bench) -> None:
    with pytest.raises(InvalidParams):
        bench.client.workflow(Count).create_batch([{"params": {"n": 1}}, {"params": {"n": "one"}}])
    assert ids(bench) == []


def test_a_batch_as_a_whole_may_be_as_large_as_a_payload(bench: Bench, echo: WorkflowClient[Any]) -> None:
    with pytest.raises(PayloadTooLarge, match="The batch"):
        echo.create_batch([{"params": f"{n}" + "x" * 400_000} for n in range(3)])
    assert ids(bench) == []
    assert len(echo.create_batch(count=3, params="x" * 400_000).created) == 3


@pytest.mark.parametrize("id", RESERVED)
def test_reserved_ids_can_be_chosen_nowhere(bench: Bench, echo: WorkflowClient[Any], id: str) -> None:
    with pytest.raises(InvalidInstanceId, match="reserved"):
        echo.create(id=id)
    with pytest.raises(InvalidInstanceId, match="reserved"):
        echo.create_batch([{"id": id}])
    assert ids(bench) == []


def test_ids_that_only_resemble_reserved_ones_are_free(bench: Bench, echo: WorkflowClient[Any]) -> None:
    free = ["Batch", "terminate-all", "cf_" + "0" * 63, "cf_" + "A" * 64]
    assert [instance.id for instance in echo.create_batch([{"id": id} for id in free]).created] == free


def test_a_hundred_concurrent_creates_of_one_id_start_one_instance(bench: Bench, echo: WorkflowClient[Any]) -> None:
    together = threading.Barrier(100)
    outcomes: list[str] = []

    def create() -> None:
        together.wait(60)
        try:
            outcomes.append(echo.create(id="same").id)
        except InstanceAlreadyExists as error:
            outcomes.append(error.code)

    _all(create for _ in range(100))
    assert sorted(outcomes) == ["instance.already_exists"] * 99 + ["same"]
    assert ids(bench) == ["same"]


def test_concurrent_batches_that_share_ids_create_each_once(bench: Bench, echo: WorkflowClient[Any]) -> None:
    names = [f"shared-{n}" for n in range(50)]
    created: list[str] = []

    def create(order: list[str]) -> None:
        created.extend(instance.id for instance in echo.create_batch([{"id": id} for id in order]).created)

    _all((lambda order=order: create(order)) for order in [names, names[::-1]] * 5)
    assert sorted(created) == sorted(names)
    assert ids(bench) == sorted(names)


# --- deleting


@pytest.mark.cloudflare(49)
def test_a_batch_delete_removes_all_there_is_and_reports_each_position(bench: Bench, echo: WorkflowClient[Any]) -> None:
    bench.registry.add(Count)
    counting = bench.client.workflow(Count)
    counting.create_batch([{"id": id, "params": {"n": 1}} for id in "abc"])
    bench.work()
    deleted = counting.delete_batch(["a", "missing", "b", "a", "missing"])
    assert deleted.deleted == ["a", "b", "a"]
    assert [(error.index, error.id, error.code) for error in deleted.errors] == [
        (1, "missing", 10400),
        (4, "missing", 10400),
    ]
    assert ids(bench) == ["c"]
    bench.tidy()
    assert len(bench.rows("SELECT * FROM @steps")) == 1
    assert bench.rows("SELECT * FROM @removals") == []
    assert counting.create({"n": 1}, id="a").id == "a"


def test_a_batch_delete_leaves_other_workflows_alone(bench: Bench, echo: WorkflowClient[Any]) -> None:
    bench.client.workflow(Count).create({"n": 1}, id="same")
    assert echo.delete_batch(["same"]).deleted == []
    assert ids(bench) == ["same"]


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ([], InvalidBatch, "1 to 100"),
        (["x"] * 101, InvalidBatch, "not 101"),
        ("abc", InvalidBatch, "a list"),
        (["kept", "not\nok"], InvalidInstanceId, "not"),
        (["kept", 7], InvalidInstanceId, "7"),
        (["kept", "x" * 272], InvalidInstanceId, "271"),
    ],
)
@pytest.mark.cloudflare(49)
def test_a_batch_delete_that_is_wrong_removes_nothing(
    bench: Bench, echo: WorkflowClient[Any], given: Any, error: type[OrchestratorError], says: str
) -> None:
    echo.create(id="kept")
    with pytest.raises(error, match=says):
        echo.delete_batch(given)
    assert ids(bench) == ["kept"]


def test_what_a_deleted_instance_stored_goes_in_small_pieces(bench: Bench, echo: WorkflowClient[Any]) -> None:
    pk = echo.create(id="large")._pk
    bench.database.transaction(
        lambda connection: connection.exec_driver_sql(
            "INSERT INTO orchestrator_steps (instance_id, run, key, position, attempts, started_at, ended_at) "
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4500) "
            f"SELECT {pk}, 1, 'do:s:' || i, i, 1, 0, 0 FROM n"
        )
    )
    assert echo.delete_batch(["large"]).errors == []
    left = []
    for _ in range(4):
        housekeeping.tidy(bench.runtime)
        left.append(bench.rows("SELECT count(*) FROM @steps")[0][0])
    assert left == [2500, 500, 0, 0]
    assert bench.rows("SELECT * FROM @removals") == []


def _all(calls: Any) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
