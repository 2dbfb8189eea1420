"""The files around the code, which deploy, package and describe it: read, as most can't be run on every machine."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.checkout import ROOT, files, name_of
from tests.command_lines import check_orchestrator

# Spelled so that they do not find themselves.
_ADDRESSES = re.compile(
    r"/(?:roo[t]|wor[k]|hom[e]/\w+|User[s]/\w+|tm[p]/\w{3,}|op[t]/(?!orchestrator\b)\w+)/"
    r"|pyp[i]\.org|pythonhoste[d]\.org|registry\.npmj[s]|deb\.debia[n]\.org"
)


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def dockerfile() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text())
    lines = [line.partition(" ") for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(instruction, rest.strip()) for instruction, _, rest in lines]


# --- deployment -------------------------------------------------------------------------------------------------------


def test_each_process_of_the_procfile_is_a_command_of_ours() -> None:
    lines = (ROOT / "Procfile").read_text().splitlines()
    processes = dict(line.split(": ", 1) for line in lines)

    assert list(processes) == ["release", "web", "worker"]
    for command in processes.values():
        check_orchestrator(shlex.split(command.replace("${PORT:-8787}", "8787")))


def test_compose_runs_both_services_the_migration_and_both_kinds_of_process(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"postgres", "redis", "migrate", "web", "worker"}


@pytest.mark.parametrize("service", ["migrate", "web", "worker"])
def test_each_process_of_compose_is_a_command_of_ours(compose: dict[str, Any], service: str) -> None:
    entrypoint = json.loads(dict(dockerfile())["ENTRYPOINT"])

    check_orchestrator([*entrypoint, *compose["services"][service]["command"]])


@pytest.mark.parametrize("service", ["postgres", "redis", "web"])
def test_what_others_wait_for_says_when_it_is_healthy(compose: dict[str, Any], service: str) -> None:
    assert compose["services"][service]["healthcheck"]["test"][0] == "CMD"


def test_what_others_wait_for_exists(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            needs_health = how["condition"] == "service_healthy"
            assert other in services, name
            assert not needs_health or "healthcheck" in services[other], f"{name} waits for the health of {other}"


def test_processes_start_on_a_database_that_has_been_upgraded(compose: dict[str, Any]) -> None:
    for name in ("web", "worker"):
        assert compose["services"][name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_compose_opens_no_port_to_other_machines(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_compose_sets_only_what_the_project_reads(compose: dict[str, Any]) -> None:
    from orchestrator.settings import Settings
    from web.settings import WebSettings

    known = {f"ORCHESTRATOR_{name.upper()}" for cls in (Settings, WebSettings) for name in cls.model_fields}
    for name in ("migrate", "web", "worker"):
        given = set(compose["services"][name]["environment"])
        assert given - known <= {"DATABASE_URL", "REDIS_URL"}


def test_the_image_is_built_in_stages_and_runs_without_root() -> None:
    instructions = dockerfile()
    bases = [rest for instruction, rest in instructions if instruction == "FROM"]
    final = instructions[max(at for at, (instruction, _) in enumerate(instructions) if instruction == "FROM") :]

    assert len(bases) == 2
    assert all("-slim" in base for base in bases)
    assert dict(final)["USER"] not in {"root", "0"}
    assert not [rest for instruction, rest in final if instruction == "RUN" and "pip install" in rest]


def test_the_image_gets_every_file_that_it_copies() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for instruction, rest in dockerfile()
        if instruction == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }

    assert copied == allowed
    assert all((ROOT / source).exists() for source in copied)


# --- packaging --------------------------------------------------------------------------------------------------------


def test_the_wheel_holds_the_three_rooms_and_their_types(project: dict[str, Any]) -> None:
    rooms = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert rooms == ["orchestrator", "tasks", "web"]
    assert all((ROOT / room / "py.typed").is_file() for room in rooms)


def test_every_dependency_is_pinned_by_the_constraints_and_allows_that_version(project: dict[str, Any]) -> None:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    asked = [*project["project"]["dependencies"]]
    for extra in project["project"]["optional-dependencies"].values():
        asked += [line for line in extra if not line.startswith(project["project"]["name"])]

    for requirement in map(Requirement, asked):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), str(requirement)


def test_constraints_name_exact_versions_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()

    assert not [line for line in lines if not line.startswith("#") and not re.fullmatch(r"[a-z0-9-]+==[\w.]+", line)]


def test_importing_the_rooms_connects_to_nothing_and_reads_no_settings() -> None:
    # An unreadable setting would be reported; a database that does not exist would be missed.
    environment = {"ORCHESTRATOR_PORT": "not a number", "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    imported = subprocess.run(
        [sys.executable, "-c", "import orchestrator, orchestrator.client, tasks, web, web.wsgi"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )

    assert imported.returncode == 0, imported.stderr


# --- everything -------------------------------------------------------------------------------------------------------


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    found = []
    for path in files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{name_of(path)}: {line.strip()}" for line in text.splitlines() if _ADDRESSES.search(line)]

    assert not found


def test_the_license_is_the_one_that_is_named(project: dict[str, Any]) -> None:
    text = (ROOT / "LICENSE").read_text()

    assert project["project"]["license"] == "Apache-2.0"
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_make_explains_every_target_it_has() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony
    shown = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert not [target for target in phony[1].split() if f"make {target} " not in shown]


@pytest.mark.parametrize("target", ["demo", "dev", "test", "lint", "types", "arch", "docs", "bench", "clean"])
def test_make_has_the_targets_that_people_expect(target: str) -> None:
    planned = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True)

    assert planned.returncode == 0, planned.stderr


def test_ci_stops_at_the_first_failure_and_runs_every_check() -> None:
    script = ROOT / ".ci" / "run"
    text = script.read_text()

    assert script.stat().st_mode & 0o111
    assert "set -euo pipefail" in text
    assert subprocess.run(["bash", "-n", str(script)], capture_output=True).returncode == 0
    assert all(f"make {check}" in text for check in ("lint", "types", "arch", "docs", "test"))


def test_ours_are_the_only_modules_with_their_names() -> None:
    """`tasks` and `web` are common names: another one earlier on the path would be found instead."""
    for room in ("orchestrator", "tasks", "web"):
        origin = __import__(room).__file__
        assert origin is not None
        assert Path(origin).is_relative_to(ROOT)
