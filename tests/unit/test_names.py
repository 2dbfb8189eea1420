"""What may be called what, as Cloudflare's validators have it, and how keys are spelled."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.errors import InvalidEventType, InvalidInstanceId, InvalidStepName, InvalidWorkflowName
from orchestrator.names import (
    check_event_type,
    check_instance_id,
    check_step_name,
    check_workflow_name,
    idempotency_key,
    kebab_case,
    new_instance_id,
    step_key,
    step_label,
)

NO_NAMES = [
    "",
    None,
    float("nan"),
    7,
    "   ",
    "\n\nhello",
    "hello\n",
    "#1231231!!!!",
    "-badName",
    "a b",
    "a.b",
    "a/b",
    "äöü",
]


@pytest.mark.parametrize("name", ["abc", "NAME_123-hello", "a", "1", "_", "a" * 64])
@pytest.mark.cloudflare(32)
def test_a_workflow_name_that_is_allowed(name: str) -> None:
    assert check_workflow_name(name) == name


@pytest.mark.parametrize("name", [*NO_NAMES, "a" * 65])
@pytest.mark.cloudflare(32)
def test_a_workflow_name_that_is_not(name: Any) -> None:
    with pytest.raises(InvalidWorkflowName, match="use 1 to 64 letters, digits") as caught:
        check_workflow_name(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("instance_id", ["abc", "NAME_123-hello", "a" * 100, "cf_abc", "Latest"])
@pytest.mark.cloudflare(32)
def test_an_instance_id_that_is_allowed(instance_id: str) -> None:
    assert check_instance_id(instance_id) == instance_id


@pytest.mark.parametrize("instance_id", [*NO_NAMES, "a" * 101])
@pytest.mark.cloudflare(32)
def test_an_instance_id_that_is_not(instance_id: Any) -> None:
    with pytest.raises(InvalidInstanceId, match="use 1 to 100 letters, digits"):
        check_instance_id(instance_id)


@pytest.mark.parametrize("instance_id", ["latest", "batch", "terminate", "terminateAll", "cf_" + "0a" * 32])
def test_an_instance_id_that_means_something_else_is_reserved(instance_id: str) -> None:
    with pytest.raises(InvalidInstanceId, match="is reserved; choose another"):
        check_instance_id(instance_id)


@pytest.mark.parametrize("event_type", ["approval", "user-reply", "A_1", "a" * 100])
def test_an_event_type_that_is_allowed(event_type: str) -> None:
    assert check_event_type(event_type) == event_type


@pytest.mark.parametrize("event_type", [*NO_NAMES, "order.paid", "a" * 101])
def test_an_event_type_that_is_not(event_type: Any) -> None:
    with pytest.raises(InvalidEventType, match=r"a '\.' is not allowed"):
        check_event_type(event_type)


@pytest.mark.parametrize("name", ["a", "with spaces", "Straße №5: 100 %", "a:b:1", "x" * 256, "\x7f"])
@pytest.mark.cloudflare(34)
def test_a_step_name_that_is_allowed(name: str) -> None:
    assert check_step_name(name) == name


@pytest.mark.parametrize("name", ["", "\x00", "a\nb", "a\x1fb", "x" * 257, None, 7, b"bytes"])
@pytest.mark.cloudflare(34)
def test_a_step_name_that_is_not(name: Any) -> None:
    with pytest.raises(InvalidStepName, match=r"exceeds max length \(256 chars\) or invalid characters found"):
        check_step_name(name)


@pytest.mark.parametrize(
    ("class_name", "name"),
    [
        ("OrderProcessing", "order-processing"),
        ("Orders", "orders"),
        ("HTTPServer", "http-server"),
        ("ParseHTMLPage", "parse-html-page"),
        ("OrderV2", "order-v2"),
        ("Order2Go", "order2-go"),
        ("order_processing", "order-processing"),
        ("_Private", "private"),
    ],
)
def test_a_class_gives_its_workflow_a_name(class_name: str, name: str) -> None:
    assert kebab_case(class_name) == name
    assert check_workflow_name(kebab_case(class_name)) == name


def test_new_instance_ids_are_allowed_and_differ() -> None:
    made = {check_instance_id(new_instance_id()) for _ in range(100)}

    assert len(made) == 100


def test_keys_of_different_steps_differ() -> None:
    steps = [("do", "a", 1), ("do", "a", 11), ("do", "a:1", 1), ("do", "a:1:1", 1), ("sleep", "a", 1)]

    assert len({step_key(*step) for step in steps}) == len(steps)
    assert step_label("charge", 2) == "charge-2"


def test_an_idempotency_key_is_the_same_for_one_step_of_one_run_only() -> None:
    this = ("orders", "order-1", 1_700_000_000_000, 1, "do:charge:1")
    others = [
        ("refunds", *this[1:]),
        (this[0], "order-2", *this[2:]),
        (*this[:2], 1_700_000_000_001, *this[3:]),
        (*this[:3], 2, this[4]),
        (*this[:4], "do:charge:2"),
    ]

    assert idempotency_key(*this) == idempotency_key(*this)
    assert len({idempotency_key(*key) for key in (this, *others)}) == 6
