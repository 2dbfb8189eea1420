"""The command line on a server: the same output as on the server's own database, and errors that name the server."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from werkzeug.serving import make_server

from orchestrator.cli import root
from orchestrator.engine.host import register
from orchestrator.errors import OrchestratorError
from tests.engine.bench import Bench
from tests.remote.workflows import WORKFLOWS
from web import WebSettings, create_app, start

Command = Callable[..., Result]


@pytest.fixture
def bench(sqlite_url: str) -> Iterator[Bench]:
    bench = Bench(sqlite_url)
    for workflow in WORKFLOWS:
        bench.registry.add(workflow)
    register(bench.runtime)
    yield bench
    bench.close()


@pytest.fixture
def url(bench: Bench) -> Iterator[str]:
    app = create_app(bench.client, registry=bench.registry, settings=WebSettings())
    with start(app, "127.0.0.1", 0) as server:
        yield server.url


@pytest.fixture
def on_server(url: str) -> Command:
    """Its environment has no database: a command that looked for one would find none."""

    def run(*arguments: str, **more: Any) -> Result:
        variables = {"ORCHESTRATOR_API_URL": url, "DATABASE_URL": "sqlite:////nowhere/at.all"}
        return CliRunner().invoke(root, arguments, env={**variables, **more.pop("env", {})}, **more)

    return run


@pytest.fixture
def on_database(bench: Bench) -> Command:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(root, arguments, env={"DATABASE_URL": bench.settings.database_url})

    return run


READING = [
    ["list"],
    ["list", "--json"],
    ["describe", "orders"],
    ["describe", "orders", "--json"],
    ["instances", "list", "orders"],
    ["instances", "list", "orders", "--json", "--reverse", "--limit", "1"],
    ["instances", "list", "orders", "--status", "errored", "-o", "jsonl"],
    ["instances", "list", "orders", "-o", "id"],
    ["instances", "describe", "orders"],
    ["instances", "describe", "orders", "fails"],
    ["instances", "describe", "orders", "fails", "--json"],
    ["instances", "describe", "orders", "fails", "--watch", "--json"],
    ["describe", "ordres"],
    ["instances", "describe", "orders", "nope"],
    ["instances", "describe", "echo"],
    ["trigger", "orders", "--id", "waits"],
    ["trigger", "orders", '{"items": 7}', "--app", "nothing.py"],
    ["instances", "resume", "orders", "ended"],
    ["instances", "terminate", "orders", "ended", "--yes"],
    ["instances", "send-event", "orders", "waits", "--type", "a.b"],
]


def test_what_is_read_and_refused_is_written_alike(bench: Bench, on_server: Command, on_database: Command) -> None:
    for id, params in (("waits", {}), ("ended", {}), ("fails", {"broken": True})):
        bench.client.workflow("orders").create(params, id=id)
    bench.work()
    bench.after(2)
    bench.client.workflow("orders").get("ended").terminate()

    for arguments in READING:
        local = on_database(*[part for part in arguments if part not in ("--app", "nothing.py")])
        remote = on_server(*arguments)

        if "--app" in arguments:  # only the server has the application here
            assert (remote.exit_code, "items" in remote.stderr) == (2, True), remote.stderr
            continue
        assert remote.stdout == local.stdout, arguments
        assert remote.stderr == local.stderr, arguments
        assert remote.exit_code == local.exit_code, arguments


def test_an_order_goes_from_its_start_to_its_end(bench: Bench, on_server: Command) -> None:
    started = on_server("trigger", "orders", '{"items": ["tea"]}', "--id", "o-1")
    assert (started.exit_code, started.stderr.splitlines()[0]) == (
        0, '🚀 Workflow instance "o-1" has been queued successfully'
    )  # fmt: skip
    bench.work()
    for action in ("pause", "resume"):
        assert on_server("instances", action, "orders", "latest").exit_code == 0
    assert on_server("instances", "restart", "orders", "o-1", "--yes").exit_code == 0
    bench.work()
    sent = on_server("instances", "send-event", "orders", "o-1", "--type", "approval", "--payload", '{"by": "ann"}')
    assert sent.stderr.startswith('📤 The event with type "approval"')
    bench.work()
    described = json.loads(on_server("instances", "describe", "orders", "o-1", "--json").stdout)
    assert (described["status"], described["run"], described["output"]) == (
        "complete", 2, {"count": 1, "by": {"by": "ann"}}
    )  # fmt: skip
    assert on_server("instances", "delete", "orders", "o-1", "--yes").exit_code == 0
    assert on_server("instances", "describe", "orders", "o-1").exit_code == 3


def test_flags_win_over_the_environment(url: str, bench: Bench, on_server: Command) -> None:
    away = {"ORCHESTRATOR_API_URL": "http://127.0.0.1:1"}

    assert on_server("list", "-o", "id", env=away).exit_code == 6
    assert on_server("list", "-o", "id", "--url", url, env=away).stdout.split()[:2] == ["echo", "orders"]


def test_a_dotenv_file_names_the_server_too(url: str, bench: Bench) -> None:
    with open(".env", "w") as file:
        file.write(f"ORCHESTRATOR_API_URL={url}\n")

    assert CliRunner().invoke(root, ["list", "-o", "id"]).stdout.split()[:2] == ["echo", "orders"]


def test_no_server_is_6_and_says_where_it_looked() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        result = CliRunner().invoke(root, ["list", "--url", url])

    assert result.exit_code == 6
    assert f"No server answers at {url}: Connection refused" in result.stderr
    assert "Next:" in result.stderr
    assert "ORCHESTRATOR_API_URL" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--url", "flows.example.com"], "not an http or https address"),
        (["--url", "http://flows.example.com"], "is not https"),
        (["--url", "https://flows.example.com", "--token", "two words"], "The token has characters"),
        (["--token", "secret-1"], "A token is for a server"),
    ],
)
def test_what_can_not_be_an_address_or_token_is_2(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(root, ["list", *arguments])

    assert result.exit_code == 2
    assert words in result.stderr
    assert "secret" not in result.stderr
    assert "two words" not in result.stderr


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [(401, "auth.unauthorized", 5), (403, "auth.forbidden", 5), (404, "", 6), (200, "", 6)],
)
def test_a_server_that_refuses_or_is_another_is_told_apart(status: int, code: str, exit_code: int) -> None:
    other = Flask("other")

    @other.route("/<path:path>")
    def refuse(path: str) -> Any:
        body = {"status": status, "detail": "No.", "code": code} if code else "<html>Hello"
        return (body, status)

    server = make_server("127.0.0.1", 0, other, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        result = CliRunner().invoke(root, ["list", "--url", f"http://127.0.0.1:{server.port}", "--token", "t0ken"])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert result.exit_code == exit_code, result.stderr
    assert "t0ken" not in result.output


def test_what_ails_the_server_is_said_to_be_the_servers(bench: Bench, on_server: Command, monkeypatch: Any) -> None:
    from orchestrator.errors import DatabaseUnavailable

    def away() -> Any:
        raise DatabaseUnavailable("The database can't be reached.")

    monkeypatch.setattr(bench.client, "workflows", away)
    monkeypatch.setattr("orchestrator.remote.transport.TRIES", 1)
    result = on_server("list")

    assert result.exit_code == 6
    assert "It is the server at http://127.0.0.1:" in result.stderr


def test_help_says_how(on_server: Command) -> None:
    for arguments in (["list"], ["trigger"], ["instances", "pause"]):
        shown = on_server(*arguments, "--help").stdout
        assert "--url" in shown
        assert "ORCHESTRATOR_API_URL" in shown
    assert "ORCHESTRATOR_API_URL" in on_server("--help").stdout


def test_what_an_operator_does_is_written_alike(bench: Bench, on_server: Command, on_database: Command) -> None:
    """Settings, retention, tokens, the log of changes and rejected messages."""
    set_to = ("configure", "orders", "--steps", "500", "--concurrency", "8", "--error-retention", "7 days")
    for command in (on_server, on_database):
        shown = command(*set_to)
        assert (shown.exit_code, shown.stderr) == (
            0, "🔧 Workflow orders is set to: 500 steps, 8 at once, errored ones kept for 7d\n"
        )  # fmt: skip
        assert command("configure", "orders", "--reset", "limits", "--reset", "concurrency", "--json").exit_code == 0
        assert command("configure", "orders").exit_code == 2
        assert command("configure", "orders", "--concurrency", "0").exit_code == 2
        made = json.loads(command("tokens", "create", "ci", "--role", "trigger", "--json").stdout)
        assert made["secret"].startswith("orc_")
        assert command("tokens", "revoke", made["id"]).exit_code == 0
        assert command("tokens", "revoke", "nothing").exit_code == 3
        assert command("rejected", "--retry", "7").exit_code == 3
        assert command("rejected", "--delete", "7").exit_code == 3
        kept = command("trigger", "orders", "{}", "--error-retention", "soon")
        assert (kept.exit_code, "error_retention" in kept.stderr) == (2, True)
        assert command("trigger", "orders", "{}", "--success-retention", "forever").exit_code == 0
    with pytest.raises(OrchestratorError) as refused:
        bench.client.accept_message('{"action": "create", "workflow": "ordres", "message_id": "m"}')
    body = '{"action": "create", "workflow": "orders", "message_id": "m"}'
    assert bench.client.reject_message(body, refused.value, message_id=None, queue="inbox")

    for arguments in (
        ["describe", "orders"], ["tokens", "list"], ["tokens", "list", "--json"], ["audit", "list", "--json"],
        ["rejected"], ["rejected", "-o", "jsonl"],
    ):  # fmt: skip
        local, remote = on_database(*arguments), on_server(*arguments)
        assert (remote.exit_code, remote.stdout, remote.stderr) == (0, local.stdout, local.stderr), arguments
    number = json.loads(on_server("rejected", "-o", "jsonl").stdout)["id"]
    assert on_server("rejected", "--retry", str(number)).stderr == f"Message {number} was carried out.\n"
    assert on_database("rejected", "-o", "id").stdout == ""
    assert len(bench.client.instances()) == 3


def test_the_document_of_a_server_is_that_of_this_version(on_server: Command) -> None:
    of_server, own = on_server("openapi"), CliRunner().invoke(root, ["openapi", "--json"])
    assert of_server.exit_code == own.exit_code == 0
    assert json.loads(of_server.stdout) == json.loads(own.stdout)
    assert json.loads(own.stdout)["openapi"] == "3.1.0"


def test_a_command_waits_for_an_instance_on_a_server(bench: Bench, on_server: Command, on_database: Command) -> None:
    bench.client.workflow("orders").create(id="o-1").terminate()
    remote, local = (run("instances", "wait", "orders", "o-1", "--json") for run in (on_server, on_database))
    assert remote.exit_code == local.exit_code == 11
    assert remote.stdout == local.stdout
    assert json.loads(local.stdout)["status"] == "terminated"
