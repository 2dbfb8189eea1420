"""Imports the user's application and collects its workflows; a failing import shows the user's own frames, not ours."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from orchestrator.authoring.registry import Registry
from orchestrator.authoring.workflow import WorkflowEntrypoint
from orchestrator.errors import ApplicationImportError

_OURS = ("orchestrator", "tasks", "web")


def load_application(spec: str) -> Registry:
    """The workflows of a file (`app.py`) or a module (`package.module`), or of several, separated by commas.

    Raises ApplicationImportError (with the user's traceback in the message), DuplicateWorkflow, SetupError.
    """
    registry = Registry()
    for part in filter(None, (part.strip() for part in spec.split(","))):
        for workflow in workflows_of(_import(part)):
            registry.add(workflow)
    if not registry:
        raise ApplicationImportError(
            f"{spec} defines no workflow: write a class that derives from WorkflowEntrypoint in it, or import one there."
        )
    return registry


def workflows_of(module: ModuleType) -> Iterable[type[WorkflowEntrypoint[Any]]]:
    """The workflow classes that a module defines or imports, but not those that only serve as bases of others."""
    for member in list(vars(module).values()):
        if isinstance(member, type) and issubclass(member, WorkflowEntrypoint) and "run" in _own_members(member):
            yield member


def _own_members(cls: type) -> set[str]:
    return {name for ancestor in cls.__mro__ if ancestor is not WorkflowEntrypoint for name in vars(ancestor)}


def _import(spec: str) -> ModuleType:
    path = Path(spec)
    if path.suffix == ".py" or path.is_file():
        return _import_file(path)
    _search_last(Path.cwd())
    _refuse_shadow(spec.partition(".")[0], Path.cwd())
    return _run_import(spec, lambda: importlib.import_module(spec))


def _import_file(path: Path) -> ModuleType:
    path = path.absolute()
    if not path.is_file():
        raise ApplicationImportError(f"There is no application file {path}.")
    _refuse_shadow(path.stem, path.parent)
    _search_last(path.parent)
    # One name for one file in every process, so that error classes and models defined in it are found again.
    known = sys.modules.get(path.stem)
    name = path.stem
    if known is not None and Path(getattr(known, "__file__", None) or "").absolute() != path:
        name = f"{path.parent.name}_{path.stem}"

    def load() -> ModuleType:
        loaded = sys.modules.get(name)
        if loaded is not None and Path(getattr(loaded, "__file__", None) or "").absolute() == path:
            return loaded
        found = importlib.util.spec_from_file_location(name, path)
        if found is None or found.loader is None:
            raise ImportError(f"{path} is no Python file")
        module = importlib.util.module_from_spec(found)
        sys.modules[name] = module
        try:
            found.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return module

    return _run_import(str(path), load)


def _search_last(folder: Path) -> None:
    """The application's folder goes to the end of the path: a module of the user's must never hide one of ours."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _refuse_shadow(name: str, folder: Path) -> None:
    """A user's own top-level tasks.py or web.py can't be imported beside ours; say so instead of a puzzling failure."""
    if name in _OURS and not (folder / name / "__init__.py").exists():
        raise ApplicationImportError(
            f"The application module {folder / (name + '.py')} has the name of a package of the orchestrator "
            f"({', '.join(_OURS)}). Rename it, for example to my_{name}.py, or put it into a package of your own."
        )


def shadowed_modules(folder: Path) -> list[Path]:
    """A user's top-level modules that `import` would not find, because packages of ours have their names."""
    return [folder / f"{name}.py" for name in _OURS if (folder / f"{name}.py").is_file()]


def _run_import(what: str, load: Any) -> ModuleType:
    try:
        module: ModuleType = load()
    except ApplicationImportError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - user code may raise anything while it is imported
        hint = _shadow_hint(error)
        raise ApplicationImportError(
            f"The application {what} can't be imported:\n\n{_user_traceback(error)}{hint}"
        ) from None
    return module


def _shadow_hint(error: BaseException) -> str:
    """`from tasks import x` in user code meets our `tasks`: the puzzling ImportError gets its explanation."""
    missing = getattr(error, "name", None) or ""
    top = missing.partition(".")[0]
    shadowing = [str(path) for entry in sys.path for path in shadowed_modules(Path(entry or ".")) if path.stem == top]
    if isinstance(error, ImportError) and shadowing:
        return (
            f"\n\n{shadowing[0]} has the name of a package of the orchestrator, which is found first. "
            f"Rename it, for example to my_{top}.py."
        )
    return ""


def _user_traceback(error: BaseException) -> str:
    """The traceback from the first frame of the application on."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and _is_machinery(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace, chain=False)).rstrip()


def _is_machinery(filename: str) -> bool:
    return filename.startswith("<frozen importlib") or filename.endswith(
        (str(Path("orchestrator") / "application.py"), str(Path("importlib") / "__init__.py"))
    )
