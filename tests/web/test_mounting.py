"""The pages below a path of another application: every address they give leads back to them."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from tests.web.page import Page
from tests.web.stub import StubClient, detail, step


@pytest.fixture
def shop(app: Flask) -> FlaskClient:
    host = Flask("shop")
    host.add_url_rule("/", view_func=lambda: "the shop")
    host.wsgi_app = DispatcherMiddleware(host.wsgi_app, {"/flows": app.wsgi_app})  # type: ignore[method-assign]
    return host.test_client()


@pytest.mark.parametrize("path", ["/", "/workflows/orders", "/workflows/orders/instances/o-1", "/workflows/none"])
def test_all_addresses_of_a_mounted_page_are_below_the_path(shop: FlaskClient, stub: StubClient, path: str) -> None:
    stub.add(detail(status="waiting", steps=[step("charge")]))

    shown = Page(shop.get(f"/flows{path}").text)

    addresses = [value for _, name, value in shown.attributes if name in ("href", "src", "action", "formaction")]
    assert len(addresses) > 3
    assert [address for address in addresses if not address.startswith(("/flows/", "#"))] == []
    assert shop.get("/").text == "the shop"


def test_forms_and_rest_work_below_the_path(shop: FlaskClient, stub: StubClient) -> None:
    started = shop.post("/flows/workflows/orders/instances", data={"params": "{}", "instance_id": "a"})

    assert started.headers["Location"].startswith("/flows/workflows/orders/instances/a")
    assert shop.get("/flows/api/v1/workflows/orders/instances/a").get_json()["id"] == "a"
    assert shop.get("/flows/api/v1/nothing").mimetype == "application/problem+json"
