"""What the HTTP client makes of servers that are away, slow, wrong or somebody else, and what it sends twice."""

from __future__ import annotations

import socket
import sys
from typing import Any

import httpx
import pytest

from orchestrator.errors import (
    ActionNotAllowed,
    Forbidden,
    HttpClientNotInstalled,
    InstanceAlreadyExists,
    OrchestratorError,
    RequestRefused,
    ServerFailed,
    ServerUnavailable,
    SettingsError,
    Unauthorized,
)
from orchestrator.remote import RemoteClient
from orchestrator.remote.records import to_ms
from orchestrator.remote.transport import TRIES, Transport

URL = "https://flows.example.com"
Answer = httpx.Response | Exception


class Server:
    """Answers what a test says, one after another, and remembers what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def transport(self, token: str | None = None) -> Transport:
        wire = httpx.MockTransport(self)
        return Transport(URL, token, timeout_s=30, insecure=False, pause=self.pauses.append, wire=wire)


def problem(status: int, code: str, detail: str = "No.", headers: Any = None, **members: Any) -> httpx.Response:
    body = {"type": "about:blank", "title": "T", "status": status, "detail": detail, "code": code, **members}
    return httpx.Response(status, json=body, headers=headers)


OK = httpx.Response(200, json={"workflows": []})


# --- what is sent twice -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first",
    [
        httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.ReadError("broke"),
        httpx.Response(502), httpx.Response(503),
    ],
    ids=repr,
)  # fmt: skip
def test_a_question_is_asked_again_when_no_answer_came(first: Answer) -> None:
    server = Server(first, OK)

    assert server.transport().get("workflows") == {"workflows": []}
    assert len(server.asked) == 2
    assert server.pauses == [0.2]


@pytest.mark.parametrize(
    "first",
    [
        httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.ReadTimeout("slow"), httpx.ReadError("broke"),
        httpx.Response(502), httpx.Response(504), problem(409, "idempotency.in_progress", headers={"Retry-After": "1"}),
    ],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
def test_a_change_is_sent_again_with_the_same_key(method: str, first: Answer) -> None:
    server = Server(first, OK)

    server.transport().send(method, "workflows", body="{}")

    assert [request.content for request in server.asked] == [b"{}", b"{}"]
    keys = {request.headers["Idempotency-Key"] for request in server.asked}
    assert len(keys) == 1
    assert len(keys.pop()) == 32


def test_each_change_has_a_key_of_its_own_and_a_question_has_none() -> None:
    server = Server(OK)
    for method in ("POST", "POST", "GET"):
        server.transport().send(method, "workflows")
    first, second, question = (request.headers.get("Idempotency-Key") for request in server.asked)
    assert first != second
    assert question is None


@pytest.mark.parametrize("answer", [httpx.ReadTimeout("slow"), httpx.ReadError("broke"), httpx.Response(502)], ids=repr)
def test_a_change_that_gets_no_answer_at_all_may_have_been_carried_out(answer: Answer) -> None:
    server = Server(answer)

    with pytest.raises(ServerUnavailable) as refused:
        server.transport().send("POST", "workflows", body="{}")

    assert len(server.asked) == TRIES
    assert isinstance(answer, httpx.Response) or "carried the request out is not known" in refused.value.message


@pytest.mark.parametrize("answer", [httpx.ReadTimeout("slow"), httpx.ReadError("broke"), httpx.Response(502)], ids=repr)
def test_what_a_server_can_not_answer_twice_is_sent_once(answer: Answer) -> None:
    server = Server(answer)

    with pytest.raises(ServerUnavailable):
        server.transport().send("POST", "tokens", body="{}", once=False)

    assert len(server.asked) == 1
    assert "Idempotency-Key" not in server.asked[0].headers


def test_another_conflict_is_no_reason_to_try_again() -> None:
    server = Server(problem(409, "instance.already_exists"))

    with pytest.raises(InstanceAlreadyExists):
        server.transport().send("POST", "workflows", body="{}")

    assert len(server.asked) == 1


def test_it_gives_up_in_the_end_and_waits_as_long_as_the_server_asks() -> None:
    server = Server(problem(503, "database.unavailable", "The database is away.", {"Retry-After": "2"}))

    with pytest.raises(OrchestratorError, match="The database is away") as refused:
        server.transport().get("workflows")

    assert refused.value.code == "database.unavailable"
    assert len(server.asked) == TRIES
    assert server.pauses == [2, 2]


# --- what is said -----------------------------------------------------------------------------------------------------


def test_no_server_is_said_with_its_address() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with RemoteClient(url) as client, pytest.raises(ServerUnavailable, match="No server answers") as refused:
            client.workflows()
    assert refused.value.message == f"No server answers at {url}: Connection refused."


def test_a_slow_server_is_said_with_the_time() -> None:
    with pytest.raises(ServerUnavailable, match="did not answer within 30 seconds"):
        Server(httpx.ReadTimeout("")).transport().get("workflows")


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (httpx.Response(200, text="<html>hello"), ServerFailed, "not the REST interface"),
        (httpx.Response(200, json=["other"]), ServerFailed, "not the REST interface"),
        (httpx.Response(404, text="<html>nothing here"), ServerFailed, "not the REST interface"),
        (httpx.Response(404, json={"error": "nope"}), ServerFailed, "not the REST interface"),
        (httpx.Response(302, headers={"Location": "https://sso/"}), ServerFailed, "sends callers on to https://sso/"),
        (httpx.Response(401, text="who are you"), Unauthorized, "wants a token"),
        (httpx.Response(403, text=""), Forbidden, "refuses"),
        (httpx.Response(504, text=""), ServerUnavailable, "can't reach the server"),
        (httpx.Response(500, text="oops"), ServerFailed, "status 500, 'oops'"),
        (problem(500, "internal", "Something went wrong."), ServerFailed, "Something went wrong"),
        (problem(401, "auth.unauthorized", "The token has expired."), Unauthorized, "The token has expired"),
        (problem(403, "auth.forbidden", "This token may only read."), Forbidden, "This token may only read"),
        (problem(422, "request.invalid", "limit: too much."), RequestRefused, "limit: too much"),
        (httpx.Response(200, json={"workflows": [{"name": "x"}]}), ServerFailed, "another version"),
    ],
    ids=repr,
)  # fmt: skip
def test_an_answer_that_is_none_is_said_as_what_it_is(
    answer: httpx.Response, kind: type[OrchestratorError], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RemoteClient(URL) as client:
        monkeypatch.setattr(client, "transport", Server(answer).transport())
        with pytest.raises(kind, match=words) as refused:
            client.workflows()
    assert type(refused.value) is kind


def test_a_refusal_only_a_server_knows_keeps_its_code() -> None:
    with pytest.raises(RequestRefused) as refused:
        Server(problem(422, "request.invalid")).transport().get("workflows")
    assert refused.value.code == "request.invalid"
    assert RequestRefused.code == "request.refused"


def test_what_an_error_carries_comes_along() -> None:
    answer = problem(
        409, "instance.not_allowed", action="pause", instance_status="complete", allowed_actions=["delete"]
    )
    with pytest.raises(ActionNotAllowed) as refused:
        Server(answer).transport().get("workflows")
    assert (refused.value.action, refused.value.status, refused.value.allowed) == ("pause", "complete", ["delete"])


# --- addresses and tokens ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("flows.example.com", "not an http or https address"),
        ("ftp://flows.example.com", "not an http or https address"),
        ("https://", "not an http or https address"),
        ("https://h:port", "can't be read"),
        ("https://[::1", "can't be read"),
        ("https://ann:hunter2@flows.example.com", "has a user or password"),
        ("https://flows.example.com/?token=hunter2", "has a query"),
        ("http://flows.example.com", "is not https"),
        ("http://10.0.0.7:8787", "ORCHESTRATOR_API_INSECURE=1"),
    ],
)
def test_an_address_that_can_not_be_used_is_refused_without_its_secrets(url: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as refused:
        RemoteClient(url)
    assert "hunter2" not in refused.value.message


@pytest.mark.parametrize(
    "url", ["http://localhost:8787", "http://127.0.0.1:1", "http://[::1]:8787", "https://h/flows/"]
)
def test_this_machine_may_be_spoken_to_in_the_open(url: str) -> None:
    with RemoteClient(url) as client:
        assert client.url == url.rstrip("/")


def test_another_machine_may_be_if_that_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    RemoteClient("http://web:8787", insecure=True).close()
    monkeypatch.setenv("ORCHESTRATOR_API_INSECURE", "1")
    RemoteClient("http://web:8787").close()


def test_the_address_of_the_interface_itself_will_do() -> None:
    with RemoteClient("https://h/flows/api/v1/") as client:
        assert client.url == "https://h/flows"


def test_the_token_goes_into_the_header_and_nowhere_else() -> None:
    server = Server(OK)
    server.transport("secret-1").get("workflows")
    assert server.asked[0].headers["Authorization"] == "Bearer secret-1"
    with RemoteClient(URL, "secret-1") as client:
        assert "secret" not in repr(client)
        assert "secret" not in repr(vars(client))


@pytest.mark.parametrize("token", ["two words", "a\nb", "tökén"])
def test_a_token_that_is_none_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(SettingsError, match="The token has characters") as refused:
        RemoteClient(URL, token)
    assert token not in refused.value.message


def test_a_password_file_of_the_machine_does_not_take_the_place_of_the_token(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine flows.example.com login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = Server(OK)
    server.transport().get("workflows")
    assert "Authorization" not in server.asked[0].headers


def test_the_environment_names_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="ORCHESTRATOR_API_URL"):
        RemoteClient()
    monkeypatch.setenv("ORCHESTRATOR_API_URL", URL)
    with RemoteClient() as client:
        assert client.url == URL


def test_a_missing_http_library_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(HttpClientNotInstalled, match=r"pip install .*celery-orchestrator\[remote\]"):
        RemoteClient(URL)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00.001Z", 1),
        ("2026-11-22T07:01:02.123Z", 1_795_330_862_123),
        ("1970-01-01T01:00:00+01:00", 0),
    ],
)
def test_times_are_read_to_the_millisecond(text: str, ms: int) -> None:
    assert to_ms(text) == ms


def test_a_name_can_not_lead_to_another_address() -> None:
    server = Server(OK)
    server.transport().get("workflows", "a/b?c=d#e", "f g%2F")
    assert server.asked[0].url.raw_path == b"/api/v1/workflows/a%2Fb%3Fc%3Dd%23e/f%20g%252F"
