"""`orchestrator dev` as its user meets it: real processes, a real file that is edited, a second terminal."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.cli.processes import ORCHESTRATOR, environment

pytestmark = [pytest.mark.process, pytest.mark.timeout(400)]

APPLICATION = """
from pydantic import BaseModel
from orchestrator import WorkflowEntrypoint

class Order(BaseModel):
    item: str

class Greeting(WorkflowEntrypoint[Order]):
    async def run(self, event, step):
        return await step.do("greet", lambda: f"VERSION {event.payload.item}")
"""


class Dev:
    """A running `orchestrator dev app.py`; the directory is the current one if none is given."""

    def __init__(self, directory: Path | None = None, **variables: str) -> None:
        self.directory = directory or Path.cwd()
        self._said = (self.directory / "dev.log").open("w+")
        command = [*ORCHESTRATOR, "dev", "app.py", "--port", "0", "-o", "jsonl"]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            cwd=self.directory,
            env=environment(**variables),
            start_new_session=True,
        )

    def started(self) -> dict[str, Any]:
        """Wait for the next start (or reload) and return what it tells."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"dev ended with {self.process.wait(10)}:\n{self.said()}"
        told: dict[str, Any] = json.loads(line)
        return told

    def said(self) -> str:
        return (self.directory / "dev.log").read_text()

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ctrl-C reaches every process of a terminal, as here; other signals reach the one they are sent to."""
        if number == signal.SIGINT:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        return self.process.wait(20)

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
        self._said.close()


@pytest.fixture
def application() -> Path:
    file = Path("app.py")
    file.write_text(APPLICATION.replace("VERSION", "one"))
    return file


@pytest.fixture
def dev(application: Path) -> Iterator[Dev]:
    running = Dev()
    yield running
    running.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One for all tests that only ask it something, as every start and stop takes seconds."""
    directory = tmp_path_factory.mktemp("service")
    (directory / "app.py").write_text(APPLICATION.replace("VERSION", "one"))
    running = Dev(directory)
    running.started()
    yield running
    running.close()


def _run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ORCHESTRATOR, *arguments], capture_output=True, text=True, env=environment(), timeout=60, cwd=cwd, check=False
    )


def test_a_second_terminal_reaches_it_and_ctrl_c_ends_it(dev: Dev) -> None:
    started = dev.started()

    page = urllib.request.urlopen(started["url"], timeout=10).read().decode()
    done = _run("trigger", "greeting", '{"item": "tea"}', "--wait", "--timeout", "20s")
    told = json.loads(Path(".orchestrator/dev.json").read_text())
    code = dev.end()

    assert "greeting" in page
    assert (done.returncode, json.loads(done.stdout)) == (0, "one tea")
    assert (told["app"], told["url"]) == ("app.py", started["url"])
    assert code == 130
    assert "Traceback" not in dev.said()


def test_the_banner_says_what_runs_where_and_its_command_works(service: Dev) -> None:
    banner = service.said()
    command = re.search(r"^ +orchestrator (trigger .*)$", banner, re.MULTILINE)

    assert "SQLite, .orchestrator/orchestrator.db" in banner
    assert "no Redis needed" in banner
    assert command is not None
    done = subprocess.run(
        f"{' '.join(ORCHESTRATOR)} {command[1]} --timeout 20s",
        shell=True,
        cwd=service.directory,
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith('"one text"')


def test_wrong_params_are_refused_in_the_second_terminal_before_anything_is_written(service: Dev) -> None:
    refused = _run("trigger", "greeting", '{"itm": "tea"}', "--id", "wrong", cwd=service.directory)
    looked_for = _run("instances", "describe", "greeting", "wrong", cwd=service.directory)

    assert refused.returncode == 2
    assert "item: Field required" in refused.stderr
    assert looked_for.returncode == 3


def test_the_workflows_it_runs_are_listed_and_described(service: Dev) -> None:
    listed = _run("list", "--json", cwd=service.directory)
    described = _run("describe", "greeting", cwd=service.directory)
    mistyped = _run("describe", "greting", cwd=service.directory)

    assert [row["name"] for row in json.loads(listed.stdout)] == ["greeting"]
    assert "Greeting in app" in described.stdout
    assert mistyped.returncode == 3
    assert "Did you mean 'greeting'?" in mistyped.stderr


def test_an_edit_restarts_it_and_a_broken_one_shows_the_authors_traceback_and_waits(
    dev: Dev, application: Path
) -> None:
    dev.started()

    application.write_text("def broken():\n    return 1 / 0\n\nbroken()\n")
    _wait_for(dev, "Waiting for a change")
    application.write_text(APPLICATION.replace("VERSION", "two"))
    dev.started()
    done = _run("trigger", "greeting", '{"item": "tea"}', "--wait", "--timeout", "20s")

    assert "ZeroDivisionError: division by zero" in dev.said()
    assert f'File "{application.absolute()}", line 2, in broken' in dev.said()
    assert "orchestrator/cli" not in dev.said()
    assert json.loads(done.stdout) == "two tea"
    assert dev.end(signal.SIGTERM) == 0


def test_an_application_that_is_broken_from_the_start_may_be_mended(application: Path) -> None:
    application.write_text("import nowhere_to_be_found\n")
    dev = Dev()
    try:
        _wait_for(dev, "Waiting for a change")
        application.write_text(APPLICATION)

        assert dev.started()["workflows"] == [{"name": "greeting", "class_name": "Greeting"}]
    finally:
        dev.close()


def test_killing_the_parent_leaves_no_child_behind(dev: Dev) -> None:
    url = dev.started()["url"]

    dev.process.kill()
    dev.process.wait(10)

    # The child holds the other end of stdout: when it ends, so does the stream.
    assert dev.process.stdout is not None
    assert dev.process.stdout.read() == ""
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=5)


def test_what_no_edit_can_mend_ends_it(application: Path) -> None:
    dev = Dev(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    try:
        assert dev.process.wait(30) == 6
        assert "127.0.0.1:1" in dev.said()
    finally:
        dev.close()


def test_without_reload_a_broken_application_ends_it(application: Path) -> None:
    application.write_text("1 / 0\n")

    done = _run("dev", "app.py", "--no-reload", "--port", "0")

    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize("arguments", [["nowhere.py"], []])
def test_a_file_that_is_not_there_is_a_mistake_to_tell_at_once(arguments: list[str]) -> None:
    done = _run("dev", *arguments)

    assert done.returncode == 2
    assert "app.py" in done.stderr


def _wait_for(dev: Dev, words: str) -> None:
    """Until it has said so, or has ended without."""
    while words not in dev.said():
        with suppress(subprocess.TimeoutExpired):
            dev.process.wait(0.05)
            assert words in dev.said(), dev.said()


def test_ctrl_c_twice_does_not_wait_for_a_step_that_runs(application: Path) -> None:
    endless = (
        "import sys, threading\ndef forever():\n    print('it runs', file=sys.stderr)\n    threading.Event().wait()\n"
    )
    body = 'lambda: f"VERSION {event.payload.item}"'
    application.write_text(endless + APPLICATION.replace(body, 'forever, timeout="1 hour"'))
    dev = Dev()
    try:
        dev.started()
        assert _run("trigger", "greeting", '{"item": "tea"}').returncode == 0
        _wait_for(dev, "it runs")

        os.killpg(dev.process.pid, signal.SIGINT)
        _wait_for(dev, "Ctrl-C again stops at once")
        code = dev.end()

        assert code == 130
        assert "Traceback" not in dev.said()
    finally:
        dev.close()


def test_a_users_own_tasks_module_gets_an_explanation(application: Path) -> None:
    Path("tasks.py").write_text("def charge():\n    return 1\n")
    application.write_text(f"from tasks import charge\n{APPLICATION}")

    done = _run("dev", "app.py", "--no-reload", "--port", "0")

    assert done.returncode == 1
    assert "tasks.py has the name of a package of the orchestrator" in done.stderr
    assert "my_tasks.py" in done.stderr


def test_a_port_that_is_taken_is_told_with_the_way_out(application: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        done = _run("dev", "app.py", "--port", str(taken.getsockname()[1]))

    assert done.returncode == 4
    assert "--port" in done.stderr
