"""The command in the banner is one that works: its params fit the workflow's type, whatever the type is."""

from __future__ import annotations

import shlex
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, HttpUrl

from orchestrator import WorkflowEntrypoint
from orchestrator.authoring.workflow import Definition
from orchestrator.cli.example import example_params, trigger_command


class Size(Enum):
    SMALL = "small"


class Item(BaseModel):
    name: Annotated[str, Field(min_length=8)]
    count: Annotated[int, Field(gt=4)]
    size: Size


class Order(BaseModel):
    id: UUID
    items: list[Item]
    at: datetime
    how: Literal["post", "air"]
    site: HttpUrl
    price: Decimal
    note: str | None = None
    shares: Annotated[float, Field(ge=0.5, le=1)]


class Strict(BaseModel):
    code: Annotated[str, Field(pattern="^[A-Z]{3}-[0-9]+$")]


def _workflow(params: Any) -> Definition:
    class Shop(WorkflowEntrypoint[params]):
        async def run(self, event: Any, step: Any) -> None:
            return None

    return Definition.of(Shop)


@pytest.mark.parametrize("params", [Order, Item, list[int], dict[str, int], int, str | None], ids=str)
def test_the_example_fits_the_type(params: Any) -> None:
    definition = _workflow(params)

    definition.encode_params(example_params(definition))


def test_what_needs_no_params_gets_none() -> None:
    assert trigger_command(_workflow(Any)) == "orchestrator trigger shop --watch"
    assert example_params(_workflow(dict[str, Any])) is None


def test_what_can_not_be_guessed_is_left_to_the_author() -> None:
    assert example_params(_workflow(Strict)) == {}


def test_a_shell_takes_the_command_apart_as_it_was_meant() -> None:
    words = shlex.split(trigger_command(_workflow(Item)))

    assert words[:3] == ["orchestrator", "trigger", "shop"]
    assert words[3] == '{"name": "textxxxx", "count": 5, "size": "small"}'
    assert words[4] == "--watch"
