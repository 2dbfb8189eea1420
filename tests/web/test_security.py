"""Who may reach the server, from where, and what browsers are told."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.web.conftest import assert_problem
from tests.web.stub import StubClient, detail
from web import WebSettings, create_app
from web.refusals import RemoteBindRefused
from web.security import check_bind, is_loopback

CREATE = "/api/v1/workflows/orders/instances"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_loopback_hosts_are_known(host: str) -> None:
    assert is_loopback(host)
    check_bind(host, allow_remote=False)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.168.1.5", "example.com", "localhost.example.com", "127.0.0.1.nip.io"]
)
def test_listening_for_other_machines_is_refused_with_the_reason_and_the_remedy(host: str) -> None:
    with pytest.raises(RemoteBindRefused, match=r"no tokens are asked for.*ORCHESTRATOR_AUTH=tokens"):
        check_bind(host, allow_remote=False)


def test_listening_for_other_machines_is_possible_when_asked_for() -> None:
    check_bind("0.0.0.0", allow_remote=True)


# --- who may reach it, however the server was started -----------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "192.168.1.5:8787", "localhost.evil.example:8787"])
def test_another_name_for_this_machine_is_refused(http: FlaskClient, host: str) -> None:
    """A website can have its name resolve to 127.0.0.1; the browser then takes it for our own page."""
    assert_problem(http.get("/api/v1/workflows", headers={"Host": host}), 403, "request.remote")


def test_another_machine_is_refused(http: FlaskClient) -> None:
    response = http.get("/api/v1/workflows", environ_overrides={"REMOTE_ADDR": "192.168.1.9"})
    problem = assert_problem(response, 403, "request.remote")
    assert "ORCHESTRATOR_ALLOW_REMOTE" in problem["detail"]


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP"])
def test_what_came_through_a_proxy_is_refused(http: FlaskClient, header: str) -> None:
    assert_problem(http.get("/api/v1/workflows", headers={header: "10.0.0.1"}), 403, "request.remote")


@pytest.mark.parametrize("host", ["localhost:8787", "127.0.0.1:1", "[::1]:8787"])
def test_this_machine_is_let_in(http: FlaskClient, host: str) -> None:
    assert http.get("/api/v1/workflows", headers={"Host": host}).status_code == 200


def test_everybody_is_let_in_when_asked_for(stub: StubClient) -> None:
    client: Any = stub
    http = create_app(client, settings=WebSettings(allow_remote=True)).test_client()
    response = http.get(
        "/api/v1/workflows", headers={"Host": "flows.example"}, environ_overrides={"REMOTE_ADDR": "10.0.0.1"}
    )
    assert response.status_code == 200


# --- other websites ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "null"},
        {"Origin": "http://[::1"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_another_website_can_change_nothing(
    http: FlaskClient, stub: StubClient, headers: dict[str, str], method: str
) -> None:
    stub.add(detail(status="running"))
    address = {
        "POST": CREATE,
        "PATCH": f"{CREATE}/o-1/status",
        "DELETE": f"{CREATE}/o-1",
    }[method]
    response = http.open(address, method=method, json={"status": "terminate"}, headers=headers)
    assert_problem(response, 403, "request.cross_site")
    assert [row.status for row in stub.rows["orders"].values()] == ["running"]


def test_another_website_can_not_use_the_forms(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(status="running"))
    response = http.post(
        "/workflows/orders/instances/o-1/actions",
        data={"action": "terminate"},
        headers={"Sec-Fetch-Site": "cross-site"},
    )
    assert response.status_code == 403
    assert stub.rows["orders"]["o-1"].status == "running"


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://localhost"}, {}])
def test_our_own_pages_and_programs_can(http: FlaskClient, headers: dict[str, str]) -> None:
    assert http.post(CREATE, json={}, headers=headers).status_code == 201


def test_reading_is_not_refused_because_of_where_a_link_was(http: FlaskClient) -> None:
    assert http.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


# --- headers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["/", "/api/v1/workflows", "/nothing", "/static/app.css", "/healthz"])
def test_every_answer_carries_the_headers_that_bind_browsers(http: FlaskClient, address: str) -> None:
    response = http.get(address)
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"
    response.close()


def test_answers_are_not_kept_but_static_files_are(app: Flask, http: FlaskClient) -> None:
    assert http.get("/").headers["Cache-Control"] == "no-store"
    with http.get("/static/app.css") as css:
        assert "max-age=31536000" in css.headers["Cache-Control"]
