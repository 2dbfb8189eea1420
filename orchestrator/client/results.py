"""What an instance that has ended gives to those who waited for it: its output as a type, or the error of its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pydantic_core
from pydantic import TypeAdapter, ValidationError

from orchestrator.errors import InstanceErrored, InstanceTerminated, InvalidOutput, ResultTimeout
from orchestrator.serialization import adapter_for, explain
from orchestrator.statuses import InstanceStatus

if TYPE_CHECKING:
    from orchestrator.authoring.workflow import Definition
    from orchestrator.client.instance import InstanceState

_SHOWN = 200


def adapter_of(type: Any, definition: Definition | None) -> TypeAdapter[Any] | None:
    """What reads the output: the type given, else what the workflow's `run` says it returns, else nothing at all.

    Raises NotSerializableError for a type that no JSON is read as.
    """
    if type is not None:
        return adapter_for(type)
    return None if definition is None else definition.output_adapter


def output_of(state: InstanceState, workflow: str, id: str, adapter: TypeAdapter[Any] | None) -> Any:
    """What an instance that has ended returned. Raises InstanceErrored, InstanceTerminated, InvalidOutput."""
    if state.status == InstanceStatus.COMPLETE:
        return _read(state.output, workflow, id, adapter)
    if state.status == InstanceStatus.TERMINATED:
        raise InstanceTerminated(f"Instance {id!r} of workflow {workflow!r} was terminated.")
    error = state.error or {}
    raise InstanceErrored(
        f"Instance {id!r} of workflow {workflow!r} ended with {error.get('name')}: {error.get('message')}", error=error
    )


def too_late(workflow: str, id: str, timeout: float | None) -> ResultTimeout:
    return ResultTimeout(f"Instance {id!r} of workflow {workflow!r} did not end within {timeout} seconds.")


def _read(output: Any, workflow: str, id: str, adapter: TypeAdapter[Any] | None) -> Any:
    if adapter is None:
        return output
    text = pydantic_core.to_json(output)  # JSON once more: dates, sets and bytes are read from it as they were written
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        found = text.decode()
        found = found if len(found) <= _SHOWN else f"{found[:_SHOWN]}…"
        raise InvalidOutput(
            f"The output of instance {id!r} of workflow {workflow!r} does not fit the type it is wanted as: "
            f"{explain(error, 'output')}. It is {found}"
        ) from None
