"""How a finished instance is shown and what it means for the exit code; it must not wait for anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.cli.output import note, write
from orchestrator.cli.wording import error_words, value_words
from orchestrator.errors import InstanceErrored, InstanceTerminated

if TYPE_CHECKING:
    from orchestrator.cli.connection import AnyInstance
    from orchestrator.inspection import InstanceDetail


def show_output(detail: InstanceDetail) -> None:
    """The output and nothing else on stdout, so that a shell can take it."""
    if detail.status == "complete":
        write(value_words(detail.output))


def outcome_of(detail: InstanceDetail) -> None:
    """Raise what the command ends with unless the instance is complete."""
    name = f'Instance "{detail.id}" from {detail.workflow}'
    if detail.status == "errored":
        raise InstanceErrored(f"{name} errored: {error_words(detail.error)}", error=detail.error)
    if detail.status == "terminated":
        raise InstanceTerminated(f"{name} was terminated.")


@contextmanager
def goes_on_without_us(instance: AnyInstance) -> Iterator[None]:
    """While the command waits: Ctrl-C ends the waiting, not the instance, and says so."""
    try:
        yield
    except KeyboardInterrupt:
        again = f"orchestrator instances describe {instance.workflow} {instance.id} --watch"
        note(f"\nNo longer watching; the instance goes on. Watch it again: {again}")
        raise
