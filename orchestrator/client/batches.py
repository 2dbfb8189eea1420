"""What a batch may be and what came of each of its parts, with Cloudflare's codes; it writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.client.instance import Instance
from orchestrator.engine.admission import New, already_exists
from orchestrator.errors import InvalidBatch
from orchestrator.names import check_address
from orchestrator.serialization import check_size

MAX_BATCH = 100
NOT_FOUND, ALREADY_EXISTS, DUPLICATE = 10400, 10405, 10415
_KEYS = ("id", "params", "retention")


@dataclass(frozen=True, slots=True)
class BatchError:
    index: int
    """Where in the batch, from 0."""
    id: str
    code: int
    """10400: there is no such instance. 10405: the id is taken. 10415: the id stands earlier in the batch."""
    message: str


@dataclass(frozen=True, slots=True)
class BatchCreated:
    created: list[Instance]
    errors: list[BatchError]


@dataclass(frozen=True, slots=True)
class BatchDeleted:
    deleted: list[str]
    """The ids as given: one that was given twice stands here twice."""
    errors: list[BatchError]


def to_create(instances: Any, count: Any) -> Sequence[Mapping[str, Any]]:
    """A mapping for each instance to create. Raises InvalidBatch."""
    if (instances is None) == (count is None):
        raise InvalidBatch("Give either `instances`, a list, or `count`, a number, and not both.")
    if instances is None:
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise InvalidBatch(f"count must be a positive integer, not {count!r}.")
        if count > MAX_BATCH:
            raise InvalidBatch(f"A batch creates at most {MAX_BATCH} instances at a time, not {count:,}.")
        return [{}] * count
    if not isinstance(instances, Sequence) or isinstance(instances, str | bytes):
        raise InvalidBatch(f"instances must be a list of mappings with {', '.join(_KEYS)}, not {instances!r}.")
    _check_length(instances, "creates")
    for index, item in enumerate(instances):
        check_item(item, f"instances[{index}]")
    return instances


def check_item(item: Any, what: str) -> None:
    """Raises InvalidBatch for what is no mapping of what an instance can be given."""
    if not isinstance(item, Mapping):
        raise InvalidBatch(f"{what} is {item!r}; it must be a mapping with {', '.join(_KEYS)}, all of them optional.")
    unknown = sorted(str(key) for key in item if key not in _KEYS)
    if unknown:
        raise InvalidBatch(f"{what} has no {', '.join(unknown)}; allowed are {', '.join(_KEYS)}.")


def check_together(batch: Sequence[New], max_bytes: int) -> None:
    """A batch as a whole may be as large as one payload, what is the same for several counted once. Raises
    PayloadTooLarge."""
    check_size("".join({new.params for new in batch}), "The batch (the params of all its instances)", max_bytes)


def not_created(workflow: str, batch: Sequence[New], created: Collection[str]) -> list[BatchError]:
    seen: set[str] = set()
    errors = []
    for index, new in enumerate(batch):
        if new.id in seen:
            message = f"Workflow instance with id {new.id!r} is in the batch more than once; the first was taken."
            errors.append(BatchError(index, new.id, DUPLICATE, message))
        elif new.id not in created:
            errors.append(BatchError(index, new.id, ALREADY_EXISTS, already_exists(workflow, new.id)))
        seen.add(new.id)
    return errors


def to_delete(ids: Any) -> list[str]:
    """Each id once. Raises InvalidBatch, InvalidInstanceId."""
    if not isinstance(ids, Sequence) or isinstance(ids, str | bytes):
        raise InvalidBatch(f"ids must be a list of instance ids, not {ids!r}.")
    _check_length(ids, "deletes")
    return list(dict.fromkeys(check_address(id) for id in ids))


def deleted(workflow: str, ids: Sequence[str], gone: Collection[str]) -> BatchDeleted:
    errors = [
        BatchError(index, id, NOT_FOUND, f"Workflow {workflow!r} has no instance with id {id!r}.")
        for index, id in enumerate(ids)
        if id not in gone
    ]
    return BatchDeleted([id for id in ids if id in gone], errors)


def _check_length(given: Sequence[Any], does: str) -> None:
    if not 1 <= len(given) <= MAX_BATCH:
        raise InvalidBatch(f"A batch {does} 1 to {MAX_BATCH} instances at a time, not {len(given):,}.")
