"""Every error becomes an answer of one shape that shows no internals."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from orchestrator.errors import (
    ActionNotAllowed,
    BrokerUnavailable,
    DatabaseUnavailable,
    InstanceErrored,
    InstanceNotFound,
    OrchestratorError,
)
from tests.web.conftest import assert_problem
from tests.web.stub import StubClient
from web.statuses import STATUS_BY_CODE, status_of


def all_classes(root: type[OrchestratorError] = OrchestratorError) -> Iterator[type[OrchestratorError]]:
    yield root
    for child in root.__subclasses__():
        yield from all_classes(child)


def test_every_error_class_of_the_project_has_a_status_of_its_own() -> None:
    # What only workers raise never becomes an answer, and is here only if another test has imported it.
    ours = [cls for cls in all_classes() if cls.__module__.startswith(("orchestrator.", "web."))]
    ours = [cls for cls in ours if not cls.__module__.startswith("orchestrator.testing.")]  # for tests, not for answers
    assert len(ours) > 30
    assert {cls.code for cls in ours} - STATUS_BY_CODE.keys() == set()


def test_no_status_is_kept_for_a_code_that_no_class_has() -> None:
    assert STATUS_BY_CODE.keys() - {cls.code for cls in all_classes()} == set()


def test_a_code_means_one_thing_only() -> None:
    # "internal" is what the server says of its own failures.
    codes = [cls.code for cls in all_classes() if cls.__module__ == OrchestratorError.__module__]
    assert len(set(codes)) == len(codes)
    assert "internal" not in codes


def test_a_class_from_outside_has_the_status_of_its_nearest_ancestor() -> None:
    class Gone(InstanceNotFound):
        code = "plugin.gone"

    assert status_of(Gone()) == 404


def test_the_api_answers_an_unknown_address_with_a_problem(http: FlaskClient) -> None:
    assert_problem(http.get("/api/v1/nothing"), 404, "request.not_found")


def test_a_wrong_method_is_answered_with_those_that_are_allowed(http: FlaskClient) -> None:
    response = http.put("/api/v1/workflows")
    assert_problem(response, 405, "request.method_not_allowed")
    assert "GET" in response.headers["Allow"]


def test_elsewhere_an_error_is_a_page(http: FlaskClient) -> None:
    response = http.get("/nothing")
    assert response.status_code == 404
    assert response.mimetype == "text/html"
    assert "Not Found" in response.text


def test_an_error_page_escapes_what_the_caller_wrote(http: FlaskClient) -> None:
    response = http.get("/workflows/%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    assert response.status_code in (404, 422)
    assert "<script>alert" not in response.text


@pytest.mark.parametrize("address", ["/api/v1/workflows", "/"])
def test_an_unknown_error_shows_no_internals_but_an_id_that_is_in_the_log(
    http: FlaskClient, stub: StubClient, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    stub.failure = ZeroDivisionError("the password is hunter2")
    with caplog.at_level(logging.ERROR, logger="web.errors"):
        response = http.get(address)
    assert response.status_code == 500
    assert "hunter2" not in response.text
    assert "ZeroDivision" not in response.text
    request_id = response.headers["X-Request-Id"]
    assert request_id in response.text
    assert request_id in caplog.text
    assert "hunter2" in caplog.text


@pytest.mark.parametrize("error", [DatabaseUnavailable(), BrokerUnavailable()])
def test_a_service_that_is_away_is_a_503_that_says_when_to_come_back(
    http: FlaskClient, stub: StubClient, error: OrchestratorError
) -> None:
    stub.failure = error
    response = http.get("/api/v1/workflows")
    assert_problem(response, 503, error.code)
    assert int(response.headers["Retry-After"]) > 0


def test_a_wrong_state_comes_with_the_actions_that_are_allowed(http: FlaskClient, stub: StubClient) -> None:
    stub.failure = ActionNotAllowed("terminate", "complete", ["restart", "delete"])
    problem = assert_problem(http.get("/api/v1/workflows/orders"), 409, "instance.not_allowed")
    assert problem["allowed_actions"] == ["restart", "delete"]
    assert problem["instance_status"] == "complete"
    assert problem["action"] == "terminate"


def test_an_instance_that_errored_comes_with_its_error(http: FlaskClient, stub: StubClient) -> None:
    stub.failure = InstanceErrored(error={"name": "ValueError", "message": "no stock"})
    problem = assert_problem(http.get("/api/v1/workflows/orders"), 409, "instance.errored")
    assert problem["error"] == {"name": "ValueError", "message": "no stock"}


def test_errors_are_handled_in_debug_mode_too(app: Flask, stub: StubClient) -> None:
    app.debug = True
    stub.failure = InstanceNotFound("There is no instance 'x'.")
    assert_problem(app.test_client().get("/api/v1/workflows/orders"), 404, "instance.not_found")
