"""Whether the servers that other tests rely on are what they claim: real, private, restartable, and gone afterwards."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import psutil
import psycopg
import pytest
import redis
from sqlalchemy import text

from orchestrator.store import migrate
from orchestrator.store.database import Database
from tests.checkout import ROOT
from tests.services import HOST, PostgresServer, ServiceError, ValkeyServer

_START_AND_DIE = """
import os, signal
from tests.services import ValkeyServer
server = ValkeyServer()
server.start()
print(server.port, server.directory, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


def test_each_test_has_a_database_of_its_own(postgres_server: PostgresServer, empty_postgres_url: str) -> None:
    with psycopg.connect(empty_postgres_url) as connection:
        connection.execute("CREATE TABLE mine (id int)")

    with psycopg.connect(postgres_server.url()) as other:
        assert other.execute("SELECT to_regclass('mine')").fetchone() == (None,)


def test_each_test_starts_with_our_tables_and_nothing_in_them(database_url: str) -> None:
    with closing(Database(database_url)) as database:
        migrate.check(database)
        with database.read() as connection:
            assert connection.execute(text("SELECT count(*) FROM orchestrator_instances")).scalar_one() == 0


def test_servers_listen_on_loopback_only(postgres_server: PostgresServer, valkey_server: ValkeyServer) -> None:
    for server in (postgres_server, valkey_server):
        listening = [it for it in psutil.Process(server.pid).net_connections() if it.status == psutil.CONN_LISTEN]

        assert {it.laddr.ip for it in listening} == {HOST}


def test_postgres_does_not_run_as_root(postgres_server: PostgresServer) -> None:
    assert psutil.Process(postgres_server.pid).uids().real != 0


def test_what_was_committed_survives_a_crash_of_postgres() -> None:
    with PostgresServer() as server:
        with psycopg.connect(server.url()) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")

        server.kill()
        server.start()

        with psycopg.connect(server.url()) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_a_restarted_broker_is_empty_and_at_the_same_address(valkey: ValkeyServer) -> None:
    with redis.Redis.from_url(valkey.url) as connection:
        connection.set("key", "value")

        valkey.restart()

        assert connection.get("key") is None


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(ServiceError, match="no-such-setting"), ValkeyServer(settings={"no-such-setting": "1"}):
        pass


def test_a_closed_server_leaves_nothing_behind(valkey: ValkeyServer) -> None:
    pid = valkey.pid

    valkey.close()

    assert not psutil.pid_exists(pid)
    assert not valkey.directory.exists()


if sys.platform == "linux":  # no other system tells a process that its parent has died

    def test_a_server_does_not_outlive_tests_that_were_killed() -> None:
        killed = subprocess.run([sys.executable, "-c", _START_AND_DIE], cwd=ROOT, capture_output=True, text=True)
        port, directory = killed.stdout.split()
        shutil.rmtree(directory)

        assert killed.returncode == -signal.SIGKILL
        assert _stops_listening(int(port))


def _stops_listening(port: int) -> bool:
    give_up_at = time.monotonic() + 10
    while time.monotonic() < give_up_at:
        try:
            socket.create_connection((HOST, port)).close()
        except ConnectionError:
            return True
    return False
