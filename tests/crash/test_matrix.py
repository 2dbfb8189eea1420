"""Every place where a process can die or lose its database, in every scenario, on both databases: what follows is right."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing

import pytest

from orchestrator.authoring.registry import Registry
from orchestrator.settings import Settings
from orchestrator.statuses import FINITE
from orchestrator.store.database import Database
from tests.crash import scenarios
from tests.crash.evidence import crowd, judge
from tests.crash.points import Plan, name_transactions
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.crash.world import MovableClock, World

# Each test is a few hundred small plays, one for each place where something can go wrong.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(autouse=True)
def _named_transactions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    name_transactions(monkeypatch)
    logging.disable()  # thousands of deliberate failures, each with a traceback that nobody reads
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def database(database_url: str, clock: MovableClock) -> Iterator[Database]:
    with closing(Database(database_url, clock=clock, synchronous="OFF")) as database:  # nobody cuts the power here
        yield database


def play(scenario: Scenario, database: Database, clock: MovableClock, plan: Plan, *, keeps_messages: bool) -> World:
    settings = Settings(**{"concurrency": 4, "moment_ms": 60_000, **scenario.settings})
    registry = Registry([scenario.workflow])
    world = World(database, clock, registry, settings, plan, scenario.queues, keeps_messages)
    scenarios.enter(world)
    if scenario.crowded:
        crowd(database)
    world.act(lambda client: client.workflow(scenario.workflow).create(scenario.params))
    world.instance = world.client.workflow(scenario.workflow).latest()
    scenario.first(world)
    world.run(lambda: world.instance.status().status in FINITE, lambda: scenario.act(world))
    world.close()
    return world


def told(world: World, scenario: Scenario) -> str:
    found = judge(world, scenario)
    return "" if not found else f"{world.plan}: " + "; ".join(found)


def break_everywhere(scenario: Scenario, database: Database, clock: MovableClock, *before: tuple[str, int]) -> None:
    """Play it without (further) faults, and then once for each point that was passed, with a fault there."""
    undisturbed = play(scenario, database, clock, Plan(list(before)), keeps_messages=True)
    assert not told(undisturbed, scenario)
    assert undisturbed.plan.reached == len(before)
    plans = list(undisturbed.plan.and_then_each())
    problems = []
    for number, plan in enumerate(plans):
        problems.append(told(play(scenario, database, clock, plan, keeps_messages=number % 2 == 0), scenario))

    assert not [problem for problem in problems if problem], "\n".join(filter(None, problems))
    complete = sum(plan.reached == len(plan.faults) for plan in plans)
    assert complete >= len(plans) * 0.6, "parallel bodies may be stored in fewer transactions, but not in so few"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_nothing_is_lost_and_nothing_runs_twice(scenario: Scenario, database: Database, clock: MovableClock) -> None:
    break_everywhere(scenario, database, clock)


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("sequential", "body:before"),
        ("parallel def", "body:after"),
        ("event sent while it waits", "steps.insert_fenced:after"),
        ("long bodies", "body:after"),
    ],
)
def test_what_goes_wrong_while_others_recover_does_no_harm(
    name: str, point: str, database: Database, clock: MovableClock
) -> None:
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == name)
    break_everywhere(scenario, database, clock, (point, 1))
