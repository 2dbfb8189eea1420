"""What machine this is and how fast its disk makes a write durable: without it no number here means anything."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("celery", "kombu", "sqlalchemy", "psycopg", "pydantic", "redis", "dbos", "restate-sdk", "hypercorn")
_WRITES = 50


def describe() -> dict[str, Any]:
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "file system": _file_system(Path(tempfile.gettempdir())),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def sync_ms() -> float:
    """The median time of a 512-byte write that is on the disk when it returns."""
    times = []
    with tempfile.NamedTemporaryFile(prefix="orchestrator-sync-") as file:
        for _ in range(_WRITES):
            started = time.perf_counter()
            os.write(file.fileno(), b"x" * 512)
            os.fsync(file.fileno())
            times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _file_system(directory: Path) -> str:
    """Of the directory that holds the databases: in memory nothing would be durable."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    within = [(point, kind) for _, point, kind, *_ in mounts if directory.resolve().is_relative_to(point)]
    return max(within, key=lambda mount: len(mount[0]), default=("", "unknown"))[1]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
