"""What workflows, instances, steps and events may be called, and how a step's key is spelled: the one place for both."""

from __future__ import annotations

import re
import uuid
from typing import TypeGuard

from orchestrator.errors import InvalidEventType, InvalidInstanceId, InvalidStepName, InvalidWorkflowName

MAX_WORKFLOW_NAME = 64
MAX_INSTANCE_ID = 100
MAX_ADDRESS = 271
"""Instances that a schedule starts are called after it, and that takes more than anybody may choose."""
MAX_STEP_NAME = 256
MAX_EVENT_TYPE = 100

NAME = r"[a-zA-Z0-9_][a-zA-Z0-9_-]*"
_FIELD = r"[a-zA-Z0-9*#-]+(?:/[0-9]+)?"
_FIELDS = rf"{_FIELD}(?:,{_FIELD})*"
SCHEDULED = rf"{_FIELDS}(?: {_FIELDS}){{4}}(?: (?:[a-zA-Z_]+/)*[a-zA-Z0-9_-]+)?-[0-9]+"
"""A cron expression, a time zone unless it is UTC, and a moment. Only these ids have slashes, and such that the rest of
an address can't be taken for a part of them."""
_NAME = re.compile(NAME)
_ADDRESS = re.compile(rf"{NAME}|{SCHEDULED}")
_NO_TEXT = re.compile(r"[\x00-\x1f\ud800-\udfff]")  # control characters, and surrogates, which no database stores
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_RESERVED = frozenset({"batch", "terminate", "terminateAll", "latest"})
_RESERVED_PATTERN = re.compile(r"cf_[0-9a-f]{64}")


def new_instance_id() -> str:
    return str(uuid.uuid4())


def kebab_case(class_name: str) -> str:
    """`OrderProcessing` -> `order-processing`: the name of a workflow that gives none itself."""
    return _CAMEL.sub("-", class_name.strip("_")).replace("_", "-").lower()


def check_workflow_name(name: object) -> str:
    if isinstance(name, str) and len(name) <= MAX_WORKFLOW_NAME and _NAME.fullmatch(name):
        return name
    raise InvalidWorkflowName(
        f"Workflow name {name!r} is not allowed: use 1 to {MAX_WORKFLOW_NAME} letters, digits, '-' or '_', "
        "not starting with '-'."
    )


def check_instance_id(instance_id: object) -> str:
    """Ids for `create`. `latest` is reserved too, because every command takes it to mean the newest instance."""
    if isinstance(instance_id, str) and len(instance_id) <= MAX_INSTANCE_ID and _NAME.fullmatch(instance_id):
        if instance_id not in _RESERVED and not _RESERVED_PATTERN.fullmatch(instance_id):
            return instance_id
        raise InvalidInstanceId(f"Instance id {instance_id!r} is reserved; choose another.")
    raise InvalidInstanceId(
        f"Workflow instance has invalid id {instance_id!r}: use 1 to {MAX_INSTANCE_ID} letters, digits, '-' or '_', "
        "not starting with '-'."
    )


def check_address(instance_id: object) -> str:
    """Ids of instances that may exist, whoever named them."""
    if isinstance(instance_id, str) and len(instance_id) <= MAX_ADDRESS and _ADDRESS.fullmatch(instance_id):
        return instance_id
    raise InvalidInstanceId(
        f"Instance ID {instance_id!r} is invalid: ids are letters, digits, '-' or '_', not starting with '-', or the "
        f"cron expression of a schedule and a moment, and at most {MAX_ADDRESS} characters."
    )


def scheduled_id(cron: str, timezone: str, tick_ms: int) -> str:
    """The id of the instance that a schedule starts for a moment: `0 7 * * *-1800000000000`.

    Only the moment's first instance can have it, so that a moment is never served twice.
    """
    zone = "" if timezone == "UTC" else f" {timezone.replace('+', '_')}"
    return f"{cron}{zone}-{tick_ms}"


def schedule_of(instance_id: str) -> tuple[str, int] | None:
    """The cron expression and the moment in the id of an instance that a schedule has started; None for other ids."""
    schedule, _, tick = instance_id.rpartition("-")
    fields = schedule.split()
    return (" ".join(fields[:5]), int(tick)) if len(fields) >= 5 and tick.isdigit() else None


def is_text(value: object) -> TypeGuard[str]:
    """Whether it is text that a database can store: what is not can't be the name of anything."""
    return isinstance(value, str) and not _NO_TEXT.search(value)


def check_event_type(event_type: object) -> str:
    if isinstance(event_type, str) and len(event_type) <= MAX_EVENT_TYPE and _NAME.fullmatch(event_type):
        return event_type
    raise InvalidEventType(
        f"Event type {event_type!r} is not allowed: use 1 to {MAX_EVENT_TYPE} letters, digits, '-' or '_', "
        "not starting with '-' (a '.' is not allowed)."
    )


def check_step_name(name: object) -> str:
    if isinstance(name, str) and 0 < len(name) <= MAX_STEP_NAME and (name.isprintable() or is_text(name)):
        return name
    shown = name if isinstance(name, str) and name else repr(name)
    raise InvalidStepName(f'Step name "{shown}" exceeds max length ({MAX_STEP_NAME} chars) or invalid characters found')


def step_key(kind: str, name: str, count: int) -> str:
    """The identity of a step within one run of an instance: kind, name, and the occurrence (from 1) of that name."""
    return f"{kind}:{name}:{count}"


def step_label(name: str, count: int) -> str:
    """How a step is shown: `charge-2` is the second step of that name."""
    return f"{name}-{count}"


def split_key(key: str) -> tuple[str, str, int]:
    """The kind, name and occurrence of which `step_key` made a key."""
    kind, _, rest = key.partition(":")
    name, _, count = rest.rpartition(":")
    return kind, name, int(count)


def label_of(key: str) -> str:
    _, name, count = split_key(key)
    return step_label(name, count)


def idempotency_key(workflow: str, instance_id: str, created_at_ms: int, run: int, key: str) -> str:
    """The same for every attempt of one step of one run, and for no other step: hand it to the services you call.

    The creation time keeps an id that is used again after a delete from meeting its predecessor's keys.
    """
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{workflow}/{instance_id}/{created_at_ms}/{run}/{key}"))
