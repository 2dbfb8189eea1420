"""A worker that has run many steps is not larger than one that has run some."""

from __future__ import annotations

from tests.faults import growth
from tests.processes.workers import Site, Stage

STEPS = 4000
KB_PER_STEP = 1.0
"""Far below what a leak of one small object per step would take, and above what allocators keep for themselves."""

CONNECTIONS = 2 * (8 + 3)
"""What a worker of 8 slots may keep open to the database; how many of them the warm-up needed at once is chance."""


def test_a_worker_does_not_grow_with_the_steps_it_has_run(site: Site, stage: Stage) -> None:
    before, after = growth.measure(site, stage, warm_up=3000, steps=STEPS)

    assert after.rss_kb - before.rss_kb < STEPS * KB_PER_STEP, (before, after)
    assert after.files <= before.files + CONNECTIONS, (before, after)
    assert after.threads <= before.threads + 4, (before, after)
