"""mypy and pyright infer the types of workflows as their authors mean them, and find the mistakes of those who err."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from tests.checkout import ROOT

AUTHORS = sorted(Path(__file__).parent.glob("authors/*.py"))

Found = dict[str, dict[int, str]]


def run(*command: str) -> str:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr  # anything else: the checker itself did not run
    return done.stdout


def found_by_mypy() -> Found:
    found: Found = defaultdict(dict)
    for line in run("mypy", "--no-error-summary", *map(str, AUTHORS)).splitlines():
        error = re.fullmatch(r"(.+?):(\d+)(?::\d+)?: error: (.+)", line)
        if error:
            found[Path(error[1]).name][int(error[2])] = error[3]
    return found


def found_by_pyright() -> Found:
    found: Found = defaultdict(dict)
    shown = run("pyright", "--outputjson", "--pythonpath", sys.executable, *map(str, AUTHORS))
    for problem in json.loads(shown)["generalDiagnostics"]:
        if problem["severity"] == "error":
            found[Path(problem["file"]).name][problem["range"]["start"]["line"] + 1] = problem["message"]
    return found


def check(found: Found) -> None:
    for file in AUTHORS:
        marked = {number for number, line in enumerate(file.read_text().splitlines(), 1) if line.endswith("# wrong")}
        errors = found[file.name]
        assert not {number: errors[number] for number in errors.keys() - marked}, file.name
        assert not marked - errors.keys(), f"{file.name}: accepted, though wrong"


def test_mypy_knows_the_types_of_workflows() -> None:
    check(found_by_mypy())


def test_pyright_knows_the_types_of_workflows() -> None:
    check(found_by_pyright())
