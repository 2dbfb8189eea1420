"""The class authors derive their workflows from, and what is known of each such class; it runs nothing."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any, ClassVar, Generic

from pydantic import TypeAdapter, ValidationError

from orchestrator.authoring.bodies import return_type, type_parameter
from orchestrator.authoring.schedules import Schedule, Schedules, declared
from orchestrator.authoring.views import P
from orchestrator.authoring.workflow_settings import KEYS, checked
from orchestrator.errors import InvalidParams, SetupError, UsageError
from orchestrator.names import check_workflow_name, kebab_case
from orchestrator.serialization import adapter_for, decode, encode, explain

DEFAULT_STEP_LIMIT = 10_000
DEFAULT_QUEUE = "default"


class Environment(Mapping[str, str]):
    """The process environment by attribute or key, as `self.env`. Read it in steps only: it is not recorded."""

    def __getattr__(self, name: str) -> str:
        try:
            return os.environ[name]
        except KeyError:
            raise AttributeError(f"There is no environment variable {name!r}.") from None

    def __getitem__(self, name: str) -> str:
        return os.environ[name]

    def __iter__(self) -> Any:
        return iter(os.environ)

    def __len__(self) -> int:
        return len(os.environ)


class WorkflowEntrypoint(Generic[P]):
    """Derive from this and write `async def run(self, event, step)` or `def run(self, event, step)`.

    The workflow is registered as the class's name in kebab-case, or as `name`. Code in `run` outside of steps runs
    again whenever the instance is taken up anew, so it must always do the same for the same event and step results:
    whatever talks to the world belongs in a step.
    """

    name: ClassVar[str]
    queue: ClassVar[str] = DEFAULT_QUEUE
    """The Celery queue whose workers run this workflow."""
    limits: ClassVar[Mapping[str, int]] = {}
    """`{"steps": N}`: how many `step.do` one instance may call; default 10,000, at most 25,000."""

    concurrency: ClassVar[Mapping[str, int]] = {}
    """`{"limit": N}`: how many instances may run at once; further ones are queued. One that waits needs no slot."""
    default_retention: ClassVar[Mapping[str, Any]] = {}
    """`{"success_retention": "7 days", "error_retention": "30 days"}`: how long ended instances are kept."""
    schedules: ClassVar[Schedules] = ()
    """A cron expression, a `Schedule(cron, timezone, params)`, or a list of them: when to start instances."""

    def __init__(self, ctx: Any = None, env: Any = None) -> None:
        self.ctx = ctx if ctx is not None else SimpleNamespace()
        self.env = env if env is not None else Environment()

    def run(self, event: Any, step: Any) -> Any:
        raise NotImplementedError  # pragma: no cover - a class without its own `run` is refused when it is registered


@dataclass(frozen=True)
class Definition:
    """A workflow class and what its annotations say."""

    name: str
    cls: type[WorkflowEntrypoint[Any]]

    @classmethod
    def of(cls, workflow: type[WorkflowEntrypoint[Any]]) -> Definition:
        """Raises SetupError or InvalidWorkflowName for a class that can't be a workflow."""
        name = check_workflow_name(workflow.__dict__.get("name", kebab_case(workflow.__name__)))
        if workflow.run is WorkflowEntrypoint.run:
            raise SetupError(f"Workflow {name!r} ({workflow.__qualname__}) has no `run(self, event, step)` method.")
        parameters = len(inspect.signature(workflow.run).parameters)
        if parameters < 3:
            raise SetupError(
                f"`run` of workflow {name!r} takes {parameters - 1} argument(s); write `run(self, event, step)`."
            )
        declared(workflow.schedules, f"schedules of workflow {name!r}")
        defined = cls(name, workflow)
        try:
            defined.settings  # noqa: B018 - only for what it raises
        except UsageError as error:
            raise SetupError(error.message) from None
        return defined

    @cached_property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.cls.run)

    @cached_property
    def step_limit(self) -> int:
        return self.settings.get("limits", {}).get("steps", DEFAULT_STEP_LIMIT)

    @cached_property
    def settings(self) -> dict[str, dict[str, int]]:
        """What the class sets, as plain JSON. Raises InvalidWorkflowSettings, InvalidRetention."""
        given = {key: getattr(self.cls, key) for key in KEYS}
        return checked({key: value for key, value in given.items() if value != {}}, self.name)

    def schedules(self) -> list[tuple[Schedule, str]]:
        """What the class declares, each with its params as JSON text. Raises InvalidParams, NotSerializableError."""
        found = declared(self.cls.schedules, f"schedules of workflow {self.name!r}")
        return [(schedule, self.encode_params(schedule.params)) for schedule in found]

    @cached_property
    def params_adapter(self) -> TypeAdapter[Any] | None:
        return adapter_for(type_parameter(self.cls, WorkflowEntrypoint))

    @cached_property
    def output_adapter(self) -> TypeAdapter[Any] | None:
        return adapter_for(return_type(self.cls.run))

    def encode_params(self, params: Any) -> str:
        """JSON text of params that fit the workflow's type. Raises InvalidParams or NotSerializableError."""
        params = {} if params is None else params
        if self.params_adapter is None:
            return encode(params, what=f"The params of workflow {self.name!r}")
        try:
            checked = self.params_adapter.validate_python(params)
        except ValidationError as error:
            raise self._do_not_fit(error) from None
        return encode(checked, self.params_adapter, what=f"The params of workflow {self.name!r}")

    def decode_params(self, text: str) -> Any:
        """The payload as the workflow's type. Raises InvalidParams for stored params that do not fit it."""
        try:
            return decode(text, self.params_adapter)
        except ValidationError as error:
            raise self._do_not_fit(error) from None

    def _do_not_fit(self, error: ValidationError) -> InvalidParams:
        return InvalidParams(f"The params do not fit workflow {self.name!r}: {explain(error, 'params')}.")
