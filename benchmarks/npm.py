"""Restate's server comes as an npm package: installed on first use, out of the way, as the lock file says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE / ".cache"


class NoServer(Exception):
    """The peer's server can't be had on this machine. The message says why."""


def restate_server() -> Path:
    """The server's program. Raises NoServer."""
    if not _installed():
        _install()
    found = _installed()
    if not found:
        raise NoServer("The npm package @restatedev/restate-server has no server for this system.")
    return found[0]


def _installed() -> list[Path]:
    return sorted(CACHE.glob("node_modules/@restatedev/restate-server-*/bin/restate-server"))


def _install() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise NoServer(
            "npm is needed to install Restate's server: install Node.js, or leave this peer out with --peers."
        )
    CACHE.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, CACHE / name)
    done = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=CACHE, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise NoServer(f"npm could not install Restate's server:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
