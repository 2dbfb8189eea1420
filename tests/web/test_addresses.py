"""Whether each address belongs to one route, whatever stands in the id of its instance."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from orchestrator.names import check_address, scheduled_id
from tests.web.conftest import assert_problem
from tests.web.stub import StubClient, detail

INSTANCES = "/api/v1/workflows/orders/instances"
IDS = [
    "o-1",
    scheduled_id("*/5 * * * *", "UTC", 1_800_000_000_000),
    scheduled_id("1-59/2,30 0 * JAN-MAR FRI#2", "America/Argentina/Buenos_Aires", 1_800_000_000_000),
    scheduled_id("0 7 L * *", "Etc/GMT+5", 1_800_000_000_000),
    scheduled_id("0 7 * * */2", "EST5EDT", 1_800_000_000_000),
]


@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize("spell", [quote, lambda id: quote(id, safe="")], ids=["slash", "%2F"])
def test_an_instance_is_found_by_its_id_and_what_stands_after_it_is_no_part_of_that(
    http: FlaskClient, stub: StubClient, id: str, spell: type[str]
) -> None:
    stub.add(detail(check_address(id), "orders"))
    address = f"{INSTANCES}/{spell(id)}"
    assert http.get(address).get_json()["id"] == id
    assert http.get(f"{address}/runs").get_json()["runs"]
    assert http.get(f"/workflows/orders/instances/{spell(id)}").status_code == 200
    sent = http.post(f"{address}/events/paid-7")
    assert (sent.get_json()["instance_id"], sent.get_json()["type"]) == (id, "paid-7")


@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize(
    ("below", "method", "allowed"),
    [
        ("", "PUT", {"GET", "HEAD", "DELETE", "OPTIONS"}),
        ("/runs", "DELETE", {"GET", "HEAD", "OPTIONS"}),
        ("/step", "DELETE", {"GET", "HEAD", "OPTIONS"}),
        ("/status", "GET", {"PATCH", "OPTIONS"}),
        ("/events/paid", "GET", {"POST", "OPTIONS"}),
        ("/events/paid-7", "DELETE", {"POST", "OPTIONS"}),
    ],
)
def test_a_wrong_method_is_405_with_those_of_its_own_address(
    http: FlaskClient, stub: StubClient, id: str, below: str, method: str, allowed: set[str]
) -> None:
    stub.add(detail(id, "orders"))
    refused = http.open(f"{INSTANCES}/{quote(id)}{below}", method=method)
    assert_problem(refused, 405, "request.method_not_allowed")
    asked = http.options(f"{INSTANCES}/{quote(id)}{below}")
    for answer in (refused, asked):
        assert set(re.split(r", *", answer.headers["Allow"])) == allowed
    assert list(stub.rows["orders"]) == [id]


@pytest.mark.parametrize(("address", "method"), [("batch", "POST"), ("batch/delete", "POST"), ("terminate", "PUT")])
@pytest.mark.parametrize("prefix", ["/api/v1", "/client/v4/accounts/a"])
def test_the_name_of_a_collection_is_no_id(http: FlaskClient, prefix: str, address: str, method: str) -> None:
    refused = http.delete(f"{prefix}/workflows/orders/instances/{address}")
    assert refused.status_code == 405
    assert set(re.split(r", *", refused.headers["Allow"])) == {method, "OPTIONS"}
