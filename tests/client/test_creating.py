"""Starting instances: what is given is checked here, in words that help, and nothing is half-written."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import BaseModel, Field

from orchestrator import WorkflowEntrypoint
from orchestrator.client import Client, Instance
from orchestrator.engine.host import register
from orchestrator.errors import (
    InstanceAlreadyExists,
    InvalidInstanceId,
    InvalidParams,
    InvalidWorkflowName,
    NotSerializableError,
    OrchestratorError,
    PayloadTooLarge,
    SetupError,
    WorkflowNotFound,
)
from tests.engine.bench import Bench
from tests.engine.clock import START_MS


class Order(BaseModel):
    items: list[str] = Field(min_length=1)
    due: date | None = None


class Orders(WorkflowEntrypoint[Order]):
    async def run(self, event: Any, step: Any) -> list[str]:
        return list(event.payload.items)


class Echo(WorkflowEntrypoint):
    async def run(self, event: Any, step: Any) -> Any:
        return [event.payload, event.instance_id, event.workflow_name, event.timestamp.isoformat()]


def nothing_written(bench: Bench) -> None:
    assert bench.rows("SELECT * FROM @instances") == []
    assert bench.doorbell.pending() == []


def test_an_instance_is_durable_rung_for_and_queued_when_create_returns(bench: Bench) -> None:
    instance = bench.create(Echo, {"n": 1}, id="first")
    assert (instance.id, instance.workflow) == ("first", "echo")
    (row,) = bench.rows("SELECT status, params, run, trigger, queue, created_at, ring_at FROM @instances")
    assert tuple(row) == ("queued", '{"n":1}', 1, "api", "default", START_MS, START_MS + 5000)
    assert bench.doorbell.pending() == [0]


@pytest.mark.cloudflare(47)
def test_the_workflow_learns_what_started_it(bench: Bench) -> None:
    instance = bench.run(Echo, {"n": 1}, id="first")
    when = datetime.fromtimestamp(START_MS / 1000, UTC).isoformat()
    assert instance.result(timeout=0) == [{"n": 1}, "first", "echo", when]


def test_without_params_the_payload_is_an_empty_object(bench: Bench) -> None:
    assert bench.run(Echo).result(timeout=0)[0] == {}


@pytest.mark.cloudflare(47)
def test_without_an_id_one_is_made_up_that_nobody_has(bench: Bench) -> None:
    ids = {bench.create(Echo).id for _ in range(20)}
    assert len(ids) == 20
    assert all(bench.client.workflow(Echo).get(id).id == id for id in ids)


@pytest.mark.parametrize("id", ["a", "order-42", "_", "A_b-9", "x" * 100, "0"])
def test_an_id_of_letters_digits_hyphens_and_underscores_is_allowed(bench: Bench, id: str) -> None:
    assert bench.create(Echo, id=id).id == id


BAD_TEXTS = ["", "-a", "a b", "a.b", "ä", "a/b", "x" * 101, "a\n", "a\x00", "\udce9"]


@pytest.mark.parametrize("id", [*BAD_TEXTS, 7, 1.5, True, b"a", ["a"]], ids=repr)
@pytest.mark.cloudflare(47)
def test_any_other_id_is_refused(bench: Bench, id: Any) -> None:
    with pytest.raises(
        InvalidInstanceId, match="1 to 100 letters, digits, '-' or '_', not starting with '-'"
    ) as refused:
        bench.create(Echo, id=id)
    assert repr(id) in str(refused.value)
    assert refused.value.code == "instance.invalid_id"
    nothing_written(bench)


@pytest.mark.parametrize("id", ["latest", "batch", "terminate", "terminateAll", "cf_" + "0" * 64])
def test_a_reserved_id_is_refused(bench: Bench, id: str) -> None:
    with pytest.raises(InvalidInstanceId, match=f"'{id}' is reserved; choose another"):
        bench.create(Echo, id=id)
    nothing_written(bench)


def test_an_id_that_is_taken_is_a_conflict_that_names_the_instance(bench: Bench) -> None:
    first = bench.run(Echo, "first", id="same")
    with pytest.raises(
        InstanceAlreadyExists, match=r"'same' already exists in workflow 'echo'\. Use another id, or get"
    ):
        bench.create(Echo, "second", id="same")
    assert first.result(timeout=0)[0] == "first"
    assert len(bench.rows("SELECT * FROM @instances")) == 1
    assert bench.doorbell.pending() == []
    assert bench.create(Orders, {"items": ["tea"]}, id="same").workflow == "orders", "ids are of one workflow"


def test_of_many_creates_of_one_id_at_once_one_succeeds(bench: Bench) -> None:
    bench.registry.add(Echo)
    together, made, refused = threading.Barrier(8), [], []

    def create(number: int) -> None:
        together.wait()
        try:
            made.append(bench.client.workflow(Echo).create(number, id="same"))
        except InstanceAlreadyExists as error:
            refused.append(error)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 7)
    bench.work()
    assert made[0].status().status == "complete"


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({}, "items: Field required"),
        (None, "items: Field required"),
        ({"items": []}, "items: List should have at least 1 item"),
        ({"items": [1]}, "items.0: Input should be a valid string"),
        ({"items": ["tea"], "due": "soon"}, "due: Input should be a valid date"),
        ("tea", "params: Input should be a valid dictionary"),
    ],
    ids=repr,
)
def test_params_that_do_not_fit_are_refused_with_the_field_and_the_reason(
    bench: Bench, params: Any, problem: str
) -> None:
    with pytest.raises(InvalidParams) as refused:
        bench.create(Orders, params)
    assert str(refused.value).startswith(f"The params do not fit workflow 'orders': {problem}")
    assert refused.value.code == "instance.invalid_params"
    nothing_written(bench)


@pytest.mark.parametrize(
    "params", [Order(items=["tea"], due=date(2027, 1, 1)), {"items": ["tea"], "due": "2027-01-01"}]
)
def test_params_may_be_given_as_the_type_or_as_data(bench: Bench, params: Any) -> None:
    assert bench.run(Orders, params).result(timeout=0) == ["tea"]
    assert bench.rows("SELECT params FROM @instances") == [('{"items":["tea"],"due":"2027-01-01"}',)]


def by_name(bench: Bench) -> Any:
    bench.registry.add(Orders)
    register(bench.runtime)
    return bench.client.workflow("orders")


def test_params_given_by_name_are_checked_when_the_instance_is_taken_up(bench: Bench) -> None:
    instance: Instance = by_name(bench).create({"items": 5})
    bench.work()
    error = instance.status().error
    assert error is not None
    assert error["name"] == "InvalidParams"
    assert "items: Input should be a valid" in error["message"]


@pytest.mark.parametrize(
    "params",
    [object(), {"f": print}, float("inf"), {"a": {"b": "\udce9"}}],
    ids=["object", "function", "infinity", "surrogate"],
)
def test_params_that_are_no_json_are_refused(bench: Bench, params: Any) -> None:
    with pytest.raises(NotSerializableError, match="The params of workflow 'echo'"):
        bench.create(Echo, params)
    nothing_written(bench)


def test_params_over_the_limit_are_refused_with_both_sizes(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_payload_bytes=1000)
    with pytest.raises(PayloadTooLarge, match="1,202 bytes, and the limit is 1,000 bytes") as refused:
        bench.create(Echo, "ä" * 600)
    assert "The params of workflow 'echo'" in str(refused.value)
    assert "Keep large data elsewhere and pass a reference." in str(refused.value)
    nothing_written(bench)
    assert bench.create(Echo, "ä" * 499) is not None


def test_the_limit_is_one_mebibyte_unless_set(bench: Bench) -> None:
    assert bench.create(Echo, "x" * (1024 * 1024 - 2)).status().status == "queued"
    with pytest.raises(PayloadTooLarge, match="1,048,577 bytes, and the limit is 1,048,576 bytes"):
        bench.create(Echo, "x" * (1024 * 1024 - 1))


def test_a_workflow_that_nobody_registered_is_named_with_those_that_come_close(bench: Bench) -> None:
    with pytest.raises(WorkflowNotFound, match=r"no workflow called 'orders'\. No workflow is registered yet"):
        bench.client.workflow("orders")
    by_name(bench)
    with pytest.raises(WorkflowNotFound) as refused:
        bench.client.workflow("order")
    assert "There is no workflow called 'order'. Did you mean 'orders'? Known workflows: orders." in str(refused.value)


@pytest.mark.parametrize("name", ["", "-a", "no spaces", "x" * 65, "a.b"], ids=repr)
def test_a_name_that_no_workflow_can_have_is_refused(bench: Bench, name: str) -> None:
    with pytest.raises(InvalidWorkflowName, match="1 to 64 letters, digits"):
        bench.client.workflow(name)


def test_a_class_that_can_be_no_workflow_is_refused(bench: Bench) -> None:
    class NoRun(WorkflowEntrypoint):
        pass

    with pytest.raises(SetupError, match=r"has no `run\(self, event, step\)` method"):
        bench.client.workflow(NoRun)


def test_a_workflow_of_another_queue_is_rung_for_there(bench: Bench) -> None:
    class Slow(WorkflowEntrypoint):
        queue = "slow"

        async def run(self, event: Any, step: Any) -> None:
            return None

    bench.create(Slow)
    bench.work()
    assert bench.rows("SELECT status, queue FROM @instances") == [("queued", "slow")]
    slow = bench.worker(registry=bench.registry, queues=("slow",))
    bench.work(slow)
    assert bench.rows("SELECT status FROM @instances") == [("complete",)]


def test_a_process_without_a_broker_creates_too_and_the_pump_finds_it(bench: Bench) -> None:
    bench.registry.add(Echo)
    with Client(bench.settings, database=bench.database) as client:
        instance = client.workflow(Echo).create("quietly")
        bench.work()
        assert instance.result(timeout=0)[0] == "quietly"


def test_every_refusal_is_of_one_family(bench: Bench) -> None:
    for refuse in (
        lambda: bench.create(Echo, id="-"),
        lambda: bench.create(Orders, {}),
        lambda: by_name(bench).get("x"),
    ):
        with pytest.raises(OrchestratorError) as refused:
            refuse()
        assert refused.value.code
