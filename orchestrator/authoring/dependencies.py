"""Steps that name other steps as their parameters: who needs whose result, each run at most once (Cloudflare's Python DAG)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from orchestrator.authoring.bodies import Signature
from orchestrator.authoring.policy import StepConfig
from orchestrator.authoring.rollback import Rollback

if TYPE_CHECKING:
    from orchestrator.authoring.step import WorkflowStep

R = TypeVar("R")


class Dependencies:
    """The decorated steps of one lifetime of an instance and their results. Failures are not kept."""

    def __init__(self) -> None:
        self._registered: dict[str, StepCallable[Any]] = {}
        self._runs: dict[StepCallable[Any], asyncio.Task[Any]] = {}
        self._awaited_by: Counter[asyncio.Task[Any]] = Counter()

    def register(self, step: StepCallable[Any]) -> None:
        self._registered[step.name] = step

    def named(self, parameter: str) -> StepCallable[Any]:
        """Raises TypeError for a parameter that is not the name of a step."""
        try:
            return self._registered[parameter]
        except KeyError:
            raise TypeError(f"Received unexpected parameter {parameter}") from None

    async def run(self, step: StepCallable[Any], coroutine: Coroutine[Any, Any, R]) -> R:
        """Run a step anew; those that depend on it share this run while it lasts and its result afterwards."""
        task = self._runs[step] = asyncio.get_running_loop().create_task(coroutine)
        return await self._share(task)

    async def result(self, step: StepCallable[Any]) -> Any:
        """The result of a dependency: of the run that there is, or of a new one if there is none or it failed."""
        task = self._runs.get(step)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            return await step()
        return await self._share(task)

    async def _share(self, task: asyncio.Task[R]) -> R:
        """Wait for a run. One that is given up by everybody who waited for it is cancelled."""
        self._awaited_by[task] += 1
        try:
            return await asyncio.shield(task)
        finally:
            self._awaited_by[task] -= 1
            if not self._awaited_by[task]:
                del self._awaited_by[task]
                task.cancel()


class StepCallable(Generic[R]):
    """What decorating with `step.do` gives: awaiting a call runs the step, after the steps its parameters name."""

    def __init__(
        self,
        step: WorkflowStep,
        dependencies: Dependencies,
        name: str,
        fn: Callable[..., Any],
        signature: Signature,
        config: StepConfig,
        depends: dict[str, StepCallable[Any]] | None,
        concurrent: bool,
        rollback: Rollback | None = None,
    ) -> None:
        self.name = name
        self.__name__ = name
        self._step = step
        self._dependencies = dependencies
        self._fn = fn
        self._signature = signature
        self._config = config
        self._depends = depends
        self._concurrent = concurrent
        self._rollback = rollback

    def __call__(self, *args: Any, **kwargs: Any) -> Coroutine[object, None, R]:
        """Arguments that are given go to the function's first parameters; the others are steps of those names."""
        if not self._signature.parameters:
            return self._plain(args, kwargs)
        return self._after_dependencies(args, kwargs)

    async def _plain(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        return await self._dependencies.run(self, self._run(args, kwargs))

    async def _after_dependencies(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        open_parameters = [name for name in self._signature.parameters[len(args) :] if name not in kwargs]
        if self._depends is not None:
            needed = [self._depends[name] for name in open_parameters]
        else:
            needed = [self._dependencies.named(name) for name in open_parameters]
        return await self._dependencies.run(self, self._resolve_and_run(args, kwargs, open_parameters, needed))

    async def _resolve_and_run(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], names: list[str], needed: list[StepCallable[Any]]
    ) -> R:
        if self._concurrent:
            values = await asyncio.gather(*(self._dependencies.result(step) for step in needed))
        else:
            values = [await self._dependencies.result(step) for step in needed]
        return await self._run(args, {**kwargs, **dict(zip(names, values, strict=True))})

    async def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        result: R = await self._step._call(
            self.name, self._fn, args, kwargs, self._signature, self._config, self._rollback
        )
        return result


def legacy_dependencies(signature: Signature, depends: Sequence[Any]) -> dict[str, StepCallable[Any]]:
    """`depends=[…]` of Cloudflare's older Python form: one decorated step per parameter, in order. Raises TypeError."""
    parameters = signature.parameters
    if len(depends) != len(parameters):
        raise TypeError(
            f"Step declares {len(parameters)} non-ctx parameter(s) but 'depends' has {len(depends)} item(s)"
        )
    for parameter, step in zip(parameters, depends, strict=True):
        if not isinstance(step, StepCallable):
            raise TypeError(f"'depends' entry for parameter '{parameter}' is not a function decorated with step.do")
    return dict(zip(parameters, depends, strict=True))
