"""A workflow class becomes a definition: its name, its limits, its params checked and read back; or it is told why not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, Field

from orchestrator import WorkflowEntrypoint
from orchestrator.authoring.registry import Registry
from orchestrator.authoring.workflow import Definition
from orchestrator.errors import (
    DuplicateWorkflow,
    InvalidParams,
    InvalidWorkflowName,
    NotSerializableError,
    SetupError,
    WorkflowNotFound,
)


class Item(BaseModel):
    sku: str
    count: int = Field(ge=1)


class Order(BaseModel):
    items: list[Item]
    note: str | None = None


class OrderProcessing(WorkflowEntrypoint[Order]):
    async def run(self, event: Any, step: Any) -> Order:
        return Order(items=[])


class Untyped(WorkflowEntrypoint):
    name = "anything-goes"

    def run(self, event: Any, step: Any) -> Any: ...


def test_a_class_is_called_after_itself_or_as_it_says() -> None:
    assert Definition.of(OrderProcessing).name == "order-processing"
    assert Definition.of(Untyped).name == "anything-goes"


def test_the_name_of_a_base_is_not_inherited() -> None:
    class Special(Untyped): ...

    assert Definition.of(Special).name == "special"


def test_async_and_plain_functions_are_told_apart() -> None:
    assert Definition.of(OrderProcessing).is_async
    assert not Definition.of(Untyped).is_async


def made(**members: Any) -> type[WorkflowEntrypoint[Any]]:
    return type("Made", (WorkflowEntrypoint,), {"run": Untyped.run, **members})


@pytest.mark.cloudflare(31, 80)
def test_a_workflow_may_have_up_to_25000_steps_and_has_10000_unless_it_says() -> None:
    assert Definition.of(Untyped).step_limit == 10_000
    assert Definition.of(made(limits={"steps": 1})).step_limit == 1
    assert Definition.of(made(limits={"steps": 25_000})).step_limit == 25_000


@pytest.mark.parametrize("limit", [0, -1, 1.5, 25_001, "10", True, [5]])
@pytest.mark.cloudflare(80)
def test_a_limit_that_is_none_is_refused(limit: Any) -> None:
    with pytest.raises(SetupError, match=r"limits of workflow 'made' has steps .* must be 1 to 25,000"):
        Definition.of(made(limits={"steps": limit}))


@pytest.mark.parametrize("setting", ["limits", "concurrency"])
@pytest.mark.parametrize("given", [[], [5], (), 0, 5, "", "steps", {"stepz": 5}, {"steps": 5, "limit": 5}])
@pytest.mark.cloudflare(80)
def test_settings_of_another_shape_are_refused(setting: str, given: Any) -> None:
    with pytest.raises(
        SetupError, match=rf"{setting} of workflow 'made' is .*; write it as {{'(steps|limit)': a number}}"
    ):
        Definition.of(made(**{setting: given}))


@pytest.mark.parametrize("none", [None, {}, {"steps": None}])
def test_a_limit_that_is_not_given_is_the_default(none: Any) -> None:
    assert Definition.of(made(limits=none)).step_limit == 10_000


@pytest.mark.parametrize("name", ["", None, "a b", "-a", "a" * 65, "ä", 5])
@pytest.mark.cloudflare(80)
def test_a_name_that_is_not_allowed_is_refused(name: Any) -> None:
    with pytest.raises(InvalidWorkflowName):
        Definition.of(made(name=name))


def test_a_class_without_run_is_refused() -> None:
    class Empty(WorkflowEntrypoint): ...

    with pytest.raises(SetupError, match=r"'empty' .* has no `run\(self, event, step\)` method"):
        Definition.of(Empty)


@pytest.mark.parametrize("run", [lambda self: None, lambda self, event: None])
def test_a_run_without_event_and_step_is_refused(run: Any) -> None:
    with pytest.raises(SetupError, match=r"argument\(s\); write `run\(self, event, step\)`"):
        Definition.of(made(run=run))


# --- params


@pytest.mark.parametrize(
    ("params", "text"),
    [
        (Order(items=[Item(sku="tea", count=2)]), '{"items":[{"sku":"tea","count":2}],"note":null}'),
        ({"items": [{"sku": "tea", "count": "2"}]}, '{"items":[{"sku":"tea","count":2}],"note":null}'),
        ({"items": []}, '{"items":[],"note":null}'),
    ],
)
def test_params_that_fit_their_type_are_stored_as_it(params: Any, text: str) -> None:
    definition = Definition.of(OrderProcessing)

    assert definition.encode_params(params) == text
    assert isinstance(definition.decode_params(text), Order)


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        (None, "items: Field required"),
        ({}, "items: Field required"),
        ({"items": [{"sku": "tea", "count": 0}]}, "items.0.count: Input should be greater than or equal to 1"),
        (
            {"items": [{"count": 1}, {"sku": 5, "count": "x"}]},
            "items.0.sku: Field required; items.1.sku: Input should be",
        ),
        ("order", "params: Input should be a valid dictionary or instance of Order"),
    ],
)
def test_params_that_do_not_fit_are_refused_with_each_place_that_is_wrong(params: Any, problem: str) -> None:
    with pytest.raises(InvalidParams) as caught:
        Definition.of(OrderProcessing).encode_params(params)

    assert str(caught.value).startswith("The params do not fit workflow 'order-processing': ")
    assert problem in str(caught.value)


def test_stored_params_that_no_longer_fit_are_refused_too() -> None:
    with pytest.raises(InvalidParams, match="items: Field required"):
        Definition.of(OrderProcessing).decode_params('{"lines": []}')


def test_params_without_a_type_pass_as_json_and_are_an_empty_object_if_there_are_none() -> None:
    definition = Definition.of(Untyped)

    assert definition.encode_params(None) == "{}"
    assert definition.encode_params([1, "a"]) == '[1,"a"]'
    assert definition.decode_params('{"a": 1}') == {"a": 1}
    with pytest.raises(NotSerializableError, match="The params of workflow 'anything-goes' is not serialisable"):
        definition.encode_params(object())


# --- the registry


def test_a_registry_finds_workflows_by_name() -> None:
    registry = Registry([OrderProcessing, Untyped])

    assert sorted(registry) == ["anything-goes", "order-processing"]
    assert registry["order-processing"].cls is OrderProcessing
    assert registry.require("anything-goes") is registry["anything-goes"]


def test_the_same_class_may_be_registered_again() -> None:
    assert len(Registry([Untyped, Untyped])) == 1


@pytest.mark.cloudflare(80)
def test_two_workflows_of_one_name_are_refused_and_both_are_named() -> None:
    with pytest.raises(DuplicateWorkflow) as caught:
        Registry([Untyped, made(name="anything-goes")])

    message = str(caught.value)
    assert "Two workflows are called 'anything-goes'" in message
    assert f"{__name__}.Untyped" in message
    assert ".Made" in message
    assert 'name = "…"' in message


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("order-procesing", "Did you mean 'order-processing'? Known workflows: anything-goes, order-processing."),
        ("zzz", "There is no workflow called 'zzz'. Known workflows: anything-goes, order-processing."),
    ],
)
def test_an_unknown_workflow_is_told_with_what_is_known(asked: str, hint: str) -> None:
    with pytest.raises(WorkflowNotFound) as caught:
        Registry([OrderProcessing, Untyped]).require(asked)
    assert hint in str(caught.value)


def test_an_empty_registry_says_so() -> None:
    with pytest.raises(WorkflowNotFound, match="No workflow is registered yet"):
        Registry().require("orders")
