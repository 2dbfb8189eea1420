"""What instances return, as the types of those who wait for it; the same from both clients."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from orchestrator.client import Client
from orchestrator.errors import InvalidOutput, NotSerializableError
from orchestrator.remote import RemoteClient
from tests.remote.conftest import Both
from tests.remote.workflows import Paying, Receipt

AnyClient = Client | RemoteClient
PLAIN = {"total": 9.5, "paid_on": "2026-11-22", "codes": ["a"]}
RECEIPT = Receipt(total=9.5, paid_on=date(2026, 11, 22), codes={"a"})


@dataclass
class Total:
    total: float


class Other(BaseModel):
    totals: list[int]


@pytest.fixture
def paid(both: Both) -> None:
    both.local.workflow(Paying).create({"total": 9.5}, id="p-1")
    both.bench.work()


@pytest.mark.usefixtures("paid")
def test_a_result_is_what_run_says_it_returns_where_its_class_is_known(client: AnyClient) -> None:
    assert client.workflow(Paying).get("p-1").result() == RECEIPT
    assert client.workflow(Paying).latest().result() == RECEIPT
    assert client.workflow("paying").get("p-1").result() == PLAIN


def test_a_handle_from_creating_knows_the_class_too(both: Both, client: AnyClient) -> None:
    one = client.workflow(Paying).create({"total": 9.5})
    many = client.workflow(Paying).create_batch(count=1, params={"total": 9.5}).created
    both.bench.work()
    assert [handle.result() for handle in (one, *many)] == [RECEIPT, RECEIPT]


@pytest.mark.usefixtures("paid")
@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(Receipt, RECEIPT), (Total, Total(9.5)), (dict[str, Any], PLAIN), (Any, PLAIN), (Receipt | None, RECEIPT)],
    ids=str,
)
def test_a_result_is_read_as_the_type_it_is_wanted_as(client: AnyClient, wanted: Any, expected: Any) -> None:
    for of in (client.workflow("paying"), client.workflow(Paying)):
        assert of.get("p-1").result(timeout=5, type=wanted) == expected


@pytest.mark.usefixtures("paid")
def test_an_output_that_is_another_thing_is_shown(both: Both) -> None:
    refused = both.refuse(lambda client: client.workflow("paying").get("p-1").result(type=Other), InvalidOutput)
    assert refused.message == (
        "The output of instance 'p-1' of workflow 'paying' does not fit the type it is wanted as: totals: Field required. "
        'It is {"total":9.5,"paid_on":"2026-11-22","codes":["a"]}'
    )
    both.refuse(lambda client: client.workflow("paying").get("p-1").result(type=Literal["paid"]), InvalidOutput)
    both.refuse(lambda client: client.workflow("paying").get("p-1").result(type=type(both)), NotSerializableError)


def test_a_large_output_that_is_another_thing_is_shown_in_part(both: Both) -> None:
    both.local.workflow("echo").create("x" * 10_000, id="long")
    both.bench.work()
    both.bench.after("2 seconds")
    refused = both.refuse(lambda client: client.workflow("echo").get("long").result(type=int), InvalidOutput)
    assert len(refused.message) < 500
    assert refused.message.endswith("xxx…")
