"""Gives every contender its turn in every round, each in a fresh place on the same servers; it judges no number."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import redis

from benchmarks import machine
from benchmarks.contenders import CONTENDERS
from benchmarks.disturbance import MUCH_PERCENT, wait_for_quiet
from benchmarks.engine import Place
from benchmarks.programs import Measured
from benchmarks.scale import QUICK, Scale
from tests.service_process import command as tied
from tests.services import PostgresServer, ValkeyServer

ROOT = Path(__file__).resolve().parents[1]
TURN_S = 1800.0
AOF = {"appendonly": "yes", "appendfsync": "always"}


@dataclass
class Results:
    machine: dict[str, Any]
    rounds: int
    """Those that are complete."""
    measured: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """contender -> program -> one value of each round"""
    units: dict[str, str] = field(default_factory=dict)
    syncs_ms: list[float] = field(default_factory=list)
    """A small synced write before each turn: how the disk was just then."""
    others: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """The same keys: how much of the processor others used meanwhile, in percent."""
    cpu_s: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """The same keys: processor time of driver, engine, database and broker together."""
    failures: list[str] = field(default_factory=list)

    def add(self, contender: str, measured: Measured) -> None:
        self.measured.setdefault(contender, {}).setdefault(measured.name, []).append(measured.value)
        self.others.setdefault(contender, {}).setdefault(measured.name, []).append(measured.others)
        self.cpu_s.setdefault(contender, {}).setdefault(measured.name, []).append(measured.cpu_s)
        self.units[measured.name] = measured.unit


def play(names: Sequence[str], scale: Scale, *, rounds: int, only: Sequence[str] | None) -> Iterator[Results]:
    """The results of all rounds so far, after each of them."""
    results = Results(machine.describe(), 0)
    with PostgresServer(durable=True) as postgres, ValkeyServer(settings=AOF) as valkey:
        for number in range(1, rounds + 1):
            for name in names:
                families = [one for one in CONTENDERS[name].families if only is None or one in only]
                if not families or (number > 1 and CONTENDERS[name].once):
                    continue
                wait_for_quiet()
                results.syncs_ms.append(machine.sync_ms())
                print(f"round {number} of {rounds}: {name}", flush=True)
                with new_place(postgres, valkey) as place:
                    _take_turn(results, name, place, scale, families)
            results.rounds = number
            yield results


@contextmanager
def new_place(postgres: PostgresServer, valkey: ValkeyServer) -> Iterator[Place]:
    """A fresh database, broker and directory; gone after it."""
    directory = Path(tempfile.mkdtemp(prefix="orchestrator-bench-"))
    url = postgres.create_database("bench")
    with redis.Redis.from_url(valkey.url) as connection:
        connection.flushall()
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CHECKPOINT")  # nobody pays for what the one before has written
    try:
        yield Place(directory, url, valkey.url)
    finally:
        postgres.drop_database("bench")
        shutil.rmtree(directory, ignore_errors=True)


def _take_turn(results: Results, name: str, place: Place, scale: Scale, families: Sequence[str]) -> None:
    command = [sys.executable, "-m", "benchmarks.turn", name, "--families", ",".join(families)]
    command += ["--directory", str(place.directory)]
    command += ["--postgres-url", place.postgres_url, "--valkey-url", place.valkey_url]
    if scale is QUICK:
        command.append("--quick")
    with (place.directory / "turn.log").open("w+") as log:
        process = subprocess.Popen(
            tied(*command, user=None, end_signal=signal.SIGTERM),
            cwd=place.directory,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert process.stdout is not None
        overtime = threading.Timer(TURN_S, process.kill)
        overtime.start()
        for line in process.stdout:
            measured = Measured(**json.loads(line))
            results.add(name, measured)
            among = f"  others {measured.others:.0f} %" if measured.others > MUCH_PERCENT else ""
            line = (
                f"{measured.name:24} {measured.value:>10.2f} {measured.unit:10} {measured.cpu_s:>8.2f} s of processor"
            )
            print(f"    {line}{among}", flush=True)
        code = process.wait()
        overtime.cancel()
        log.seek(0)
        said = log.read()
    if code != 0:
        results.failures.append(f"{name}: ended with {code}")
        print(f"    FAILED:\n{said[-4000:]}", file=sys.stderr, flush=True)


def clean_environment() -> dict[str, str]:
    """Nothing of what is set for the developer's own use decides what is measured."""
    foreign = ("ORCHESTRATOR_", "DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "DBOS_", "RESTATE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, "PYTHONPATH": str(ROOT)}
