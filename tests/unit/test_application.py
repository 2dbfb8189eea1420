"""Loading the user's application: files and modules, and every way it can go wrong with the user's own lines shown."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.application import load_application
from orchestrator.errors import ApplicationImportError, DuplicateWorkflow, SetupError

WORKFLOW = """
from orchestrator import WorkflowEntrypoint

class {name}(WorkflowEntrypoint):
    async def run(self, event, step):
        return await step.do("a", lambda: 1)
"""

Write = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test imports is forgotten after it."""
    monkeypatch.chdir(tmp_path)
    path, modules = [*sys.path], {*sys.modules}
    yield
    sys.path[:] = path
    for name in {*sys.modules} - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return to


def refused(spec: str) -> str:
    with pytest.raises(ApplicationImportError) as caught:
        load_application(spec)
    return str(caught.value)


@pytest.mark.parametrize("spec", ["my_app_1.py", "./my_app_1.py", "{folder}/my_app_1.py"])
def test_a_file_is_an_application(write: Write, tmp_path: Path, spec: str) -> None:
    write("my_app_1.py", WORKFLOW.format(name="OrderProcessing"))

    assert list(load_application(spec.format(folder=tmp_path))) == ["order-processing"]


def test_a_module_is_an_application_found_from_the_working_directory(write: Write) -> None:
    write("my_shop/__init__.py", "")
    write("my_shop/flows.py", WORKFLOW.format(name="OrderProcessing"))

    assert list(load_application("my_shop.flows")) == ["order-processing"]


def test_a_package_offers_the_workflows_that_it_imports(write: Write) -> None:
    write("my_shop_2/__init__.py", "from my_shop_2.flows import Orders")
    write("my_shop_2/flows.py", WORKFLOW.format(name="Orders"))

    assert list(load_application("my_shop_2")) == ["orders"]


def test_several_applications_are_separated_by_commas(write: Write) -> None:
    write("my_app_2.py", WORKFLOW.format(name="Orders"))
    write("my_app_3.py", WORKFLOW.format(name="Refunds"))

    assert sorted(load_application("my_app_2.py, my_app_3")) == ["orders", "refunds"]


def test_a_file_loaded_twice_gives_the_same_classes(write: Write) -> None:
    write("my_app_4.py", WORKFLOW.format(name="Orders"))

    assert load_application("my_app_4.py")["orders"].cls is load_application("my_app_4.py")["orders"].cls


def test_two_files_of_one_name_do_not_hide_each_other(write: Write) -> None:
    write("first/my_app_5.py", WORKFLOW.format(name="Orders"))
    write("second/my_app_5.py", WORKFLOW.format(name="Refunds"))

    assert list(load_application("first/my_app_5.py")) == ["orders"]
    assert list(load_application("second/my_app_5.py")) == ["refunds"]


def test_a_file_may_import_its_neighbours_but_its_folder_hides_nothing(write: Write) -> None:
    write("my_neighbour.py", "NAME = 'Orders'")
    assert "fileinput" not in sys.modules, "take another module of Python's that nothing has imported yet"
    write("fileinput.py", "raise AssertionError('the one of Python is meant')")
    write("my_app_6.py", "import fileinput\nfrom my_neighbour import NAME\n" + WORKFLOW.format(name="Orders"))

    assert list(load_application("my_app_6.py")) == ["orders"]


# --- what goes wrong


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert refused("nowhere.py") == f"There is no application file {tmp_path / 'nowhere.py'}."


def test_a_module_that_is_not_there_is_named_without_our_lines() -> None:
    message = refused("nowhere.flows")

    assert "The application nowhere.flows can't be imported" in message
    assert message.endswith("ModuleNotFoundError: No module named 'nowhere'")
    assert "orchestrator" not in message
    assert "importlib" not in message


BROKEN = [
    (
        "def connect():\n    raise ConnectionError('no config')\n\nconnect()\n",
        "connect()",
        "ConnectionError: no config",
    ),
    ("import numpyy\n", "import numpyy", "ModuleNotFoundError: No module named 'numpyy'"),
    ("from orchestrator import Workflow\n", "from orchestrator import Workflow", "cannot import name 'Workflow'"),
    ("def run(:\n    pass\n", "def run(:", "SyntaxError: invalid syntax"),
    ("import sys\nsys.exit('set DATABASE_URL')\n", "sys.exit('set DATABASE_URL')", "SystemExit: set DATABASE_URL"),
]


@pytest.mark.parametrize(("text", "line", "error"), BROKEN)
@pytest.mark.parametrize("spec", ["my_broken.py", "my_broken"])
def test_an_application_that_does_not_import_shows_its_own_traceback_and_not_ours(
    write: Write, text: str, line: str, error: str, spec: str
) -> None:
    path = write("my_broken.py", text)

    message = refused(spec)

    assert error in message
    assert f'File "{path}", line' in message
    assert line in message
    assert "application.py" not in message
    assert "importlib" not in message


def test_a_broken_file_is_tried_again_when_it_was_mended(write: Write) -> None:
    path = write("my_mended.py", "1 / 0")
    assert "ZeroDivisionError" in refused("my_mended.py")

    path.write_text(WORKFLOW.format(name="OrdersOfTheMendedFile"))
    assert list(load_application("my_mended.py")) == ["orders-of-the-mended-file"]


def test_the_error_of_a_neighbour_shows_the_whole_way_to_it(write: Write) -> None:
    write("my_helper.py", "def connect():\n    return 1 / 0\n")
    write("my_app_7.py", "import my_helper\nmy_helper.connect()\n")

    message = refused("my_app_7.py")

    assert "my_app_7.py" in message
    assert "my_helper.py" in message
    assert "ZeroDivisionError: division by zero" in message


@pytest.mark.parametrize("text", ["", "x = 1", "from orchestrator import WorkflowEntrypoint"])
def test_an_application_without_workflows_is_told_what_to_write(write: Write, text: str) -> None:
    write("my_empty.py", text)

    assert "my_empty.py defines no workflow: write a class that derives from WorkflowEntrypoint" in refused(
        "my_empty.py"
    )


def test_a_class_without_run_is_no_workflow_but_may_be_a_base_of_one(write: Write) -> None:
    write(
        "my_app_8.py",
        """
        from orchestrator import WorkflowEntrypoint

        class Base(WorkflowEntrypoint):
            async def charge(self): ...

        class Orders(Base):
            async def run(self, event, step): ...
        """,
    )

    assert list(load_application("my_app_8.py")) == ["orders"]


def test_a_run_that_cannot_be_called_is_refused(write: Write) -> None:
    write("my_app_9.py", WORKFLOW.format(name="Orders").replace("event, step", "event"))

    with pytest.raises(SetupError, match=r"write `run\(self, event, step\)`"):
        load_application("my_app_9.py")


def test_two_workflows_of_one_name_are_refused(write: Write) -> None:
    write("my_app_10.py", WORKFLOW.format(name="Orders"))
    write("my_app_11.py", WORKFLOW.format(name="Orders"))

    with pytest.raises(DuplicateWorkflow, match=r"my_app_10\.Orders and my_app_11\.Orders"):
        load_application("my_app_10.py,my_app_11.py")


# --- the user's own tasks.py


@pytest.mark.parametrize("name", ["tasks", "web", "orchestrator"])
def test_an_application_with_the_name_of_a_package_of_ours_is_told_to_take_another(
    write: Write, tmp_path: Path, name: str
) -> None:
    write(f"{name}.py", WORKFLOW.format(name="Orders"))

    for spec in (f"{name}.py", name):
        message = refused(spec)
        assert f"{tmp_path / name}.py has the name of a package of the orchestrator" in message
        assert f"Rename it, for example to my_{name}.py" in message


def test_an_import_of_the_users_own_tasks_gets_the_remedy(write: Write, tmp_path: Path) -> None:
    write("tasks.py", "def send_mail(): ...")
    write("my_app_12.py", "from tasks import send_mail\n" + WORKFLOW.format(name="Orders"))

    message = refused("my_app_12.py")

    assert "cannot import name 'send_mail' from 'tasks'" in message
    assert f"{tmp_path / 'tasks.py'} has the name of a package of the orchestrator, which is found first" in message
    assert "Rename it, for example to my_tasks.py" in message
