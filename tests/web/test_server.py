"""Both servers on real sockets: starting, answering, stopping, refusing."""

from __future__ import annotations

import http.client
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

import web
from orchestrator.errors import SettingsError
from orchestrator.settings import Settings
from tests.web.stub import StubClient
from web import Server, WebSettings, serve, start
from web.refusals import AddressUnavailable, RemoteBindRefused, ServerNotInstalled

HOST = "127.0.0.1"


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def test_a_server_answers_until_it_is_stopped_from_another_thread(app: Flask) -> None:
    server = Server(app, HOST, 0)
    serving = threading.Thread(target=server.run)
    serving.start()
    assert get(f"{server.url}/healthz") == {"status": "ok"}
    server.stop()
    serving.join(5)
    assert not serving.is_alive()
    with pytest.raises(OSError, match=r"refused|reset"):
        urllib.request.urlopen(f"{server.url}/healthz", timeout=5)


def test_a_handle_may_be_started_and_stopped_twice(app: Flask) -> None:
    before = threading.active_count()
    with start(app, HOST, 0) as server:
        assert get(f"{server.url}/healthz") == {"status": "ok"}
        assert server.start() is server
    server.stop()
    assert threading.active_count() == before


def test_a_server_that_never_served_can_be_stopped(app: Flask) -> None:
    server = Server(app, HOST, 0)
    server.stop()
    Server(app, HOST, server.port).stop()


def test_requests_are_answered_at_the_same_time(app: Flask) -> None:
    meeting = threading.Barrier(2, timeout=5)
    app.add_url_rule("/meet", view_func=lambda: str(meeting.wait()))
    with start(app, HOST, 0) as server:
        threads = [threading.Thread(target=urllib.request.urlopen, args=(f"{server.url}/meet",)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
    assert not meeting.broken


def test_an_oversize_body_gets_its_answer_over_a_real_connection(app: Flask) -> None:
    with start(app, HOST, 0) as server:
        connection = http.client.HTTPConnection(HOST, server.port, timeout=5)
        body = json.dumps({"params": "x" * 70_000})
        connection.request("POST", "/api/v1/workflows/orders/instances", body, {"Content-Type": "application/json"})
        assert connection.getresponse().status == 413
        connection.close()


def test_a_taken_port_is_said_with_the_remedy(app: Flask) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AddressUnavailable, match=rf"port {port}.*--port"):
            start(app, HOST, port)


@pytest.mark.parametrize("production", [False, True])
def test_neither_server_listens_for_other_machines_unasked(app: Flask, production: bool) -> None:
    with pytest.raises(RemoteBindRefused, match="ORCHESTRATOR_ALLOW_REMOTE=1"):
        serve(app, "0.0.0.0", 0, production=production)


def test_a_missing_gunicorn_is_said_with_the_remedy(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gunicorn.app.base", None)
    with pytest.raises(ServerNotInstalled, match=r"pip install .*celery-orchestrator\[server\]"):
        serve(app, HOST, 0, production=True)


PRODUCTION = """
import sys
from tests.web.stub import StubClient
from web import create_app, serve

def make():
    import os
    print("made in", os.getpid(), flush=True)
    return create_app(StubClient())

sys.exit(serve(make, "127.0.0.1", int(sys.argv[1]), production=True))
"""


def test_production_makes_the_app_after_the_fork_answers_and_stops_on_sigterm() -> None:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", PRODUCTION, str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(web.__file__).parent.parent,
        env=os.environ | {"PYTHONPATH": str(Path(web.__file__).parent.parent)},
    )
    try:
        assert process.stdout is not None
        made_in = int(process.stdout.readline().split()[-1])
        assert made_in != process.pid
        assert get(f"http://{HOST}:{port}/healthz") == {"status": "ok"}
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
    assert process.returncode == 0, log


def test_importing_the_composition_root_builds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    wsgi = importlib.import_module("web.wsgi")
    wsgi.build.cache_clear()

    def make_client(settings: Settings) -> StubClient:
        built.append("client")
        return StubClient()

    monkeypatch.setattr(wsgi, "Client", make_client)
    monkeypatch.delenv("ORCHESTRATOR_APP", raising=False)
    assert built == []
    assert isinstance(wsgi.app, Flask)
    assert wsgi.app is wsgi.app
    assert built == ["client"]
    wsgi.build.cache_clear()


def test_a_wrong_web_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_MAX_REQUEST_BYTES", "lots")
    with pytest.raises(SettingsError, match="ORCHESTRATOR_MAX_REQUEST_BYTES"):
        WebSettings.load()
