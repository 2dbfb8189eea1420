"""The app over a stub client, so that these tests are about HTTP and pages only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.web.door import Door, open_door
from tests.web.stub import StubClient
from web import WebSettings, create_app


@pytest.fixture
def stub() -> StubClient:
    return StubClient()


@pytest.fixture
def app(stub: StubClient) -> Flask:
    client: Any = stub
    return create_app(client, settings=WebSettings(max_request_bytes=64 * 1024))


@pytest.fixture
def http(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def door(database_url: str) -> Iterator[Door]:
    with open_door(database_url) as opened:
        yield opened


def assert_problem(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The one shape of every error of the REST interface; its members."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/problem+json"
    problem: dict[str, Any] = response.get_json()
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == response.headers["X-Request-Id"]
    return problem
