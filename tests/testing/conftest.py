"""A test of workflows on each database: the temporary one it makes for itself, and a PostgreSQL that it is given."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestrator.testing import WorkflowTest


@pytest.fixture(params=["temporary", "postgres"])
def workflows(request: pytest.FixtureRequest) -> Iterator[WorkflowTest]:
    url = None if request.param == "temporary" else request.getfixturevalue("emptied_postgres_url")
    with WorkflowTest(database_url=url) as test:
        yield test
