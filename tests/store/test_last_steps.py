"""The last step and the end of its instance are written together, or the step alone, or nothing."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from orchestrator.store import instances, last_steps
from tests.store.conftest import Store, until_someone_waits_for_a_lock
from tests.store.test_journal import line


def end(store: Store, pk: int, fence: int, wanted: int = 0) -> Any:
    return store.database.statement(
        lambda connection: last_steps.end_with(
            connection,
            fence=fence,
            wanted=wanted,
            row=line(pk, "last"),
            output='"done"',
            now=store.now,
            keep_ms=1000,
            version="v1",
        )
    )


def journal(store: Store) -> list[str]:
    return [row.key for row in store.rows("SELECT key FROM @steps ORDER BY seq")]


def test_the_step_and_the_end_are_there_together(store: Store) -> None:
    pk, fence = store.claimed()
    wanted, status, seq, ended = end(store, pk, fence)
    assert (wanted, status, ended) == (0, "running", True)
    assert [row.seq for row in store.rows("SELECT seq FROM @steps")] == [seq]
    row = store.row(pk)
    assert (row.status, row.output, row.holder, row.version) == ("complete", '"done"', None, "v1")
    assert (row.ended_at, row.expires_at) == (store.now, store.now + 1000)
    assert [(row.instance, row.status) for row in store.rows("SELECT * FROM @ended")] == [(pk, "complete")]


@pytest.mark.parametrize("moved", ["another claim", "let go"])
def test_under_a_moved_fence_nothing_is_written(store: Store, moved: str) -> None:
    pk, fence = store.claimed()
    store(instances.give_back, id=pk, fence=fence, status="running", ring_at=None)
    if moved == "another claim":
        store(instances.claim, id=pk, worker="w2", now=store.now)
    assert end(store, pk, fence) is None
    assert (journal(store), store.row(pk).status) == ([], "running")


def test_with_news_the_step_is_written_and_the_end_is_not(store: Store) -> None:
    pk, fence = store.claimed()
    store(instances.want, pk, ring_at=1)
    wanted, _, seq, ended = end(store, pk, fence)
    assert (wanted, seq is not None, ended) == (1, True, False)
    assert (journal(store), store.row(pk).status, store.rows("SELECT * FROM @ended")) == (["last"], "running", [])


def test_an_instance_that_is_to_be_undone_does_not_end(store: Store) -> None:
    pk, fence = store.claimed()
    store(instances.request_rollback, pk, rollback="{}", ring_at=1, now=store.now)
    _, status, _, ended = end(store, pk, fence, wanted=1)
    assert (status, ended) == ("rollingBack", False)
    assert journal(store) == ["last"]


@pytest.mark.parametrize(("news", "ends"), [(True, False), (False, True)])
def test_it_goes_by_what_stands_in_the_row_once_it_is_locked(store: Store, news: bool, ends: bool) -> None:
    pk, fence = store.claimed()
    answers: list[Any] = []
    late = threading.Thread(target=lambda: answers.append(end(store, pk, fence)))

    def others(connection: Any) -> None:
        if news:
            instances.want(connection, pk, ring_at=1)
        else:
            instances.clear_lost(connection, id=pk, fence=fence)
        late.start()
        until_someone_waits_for_a_lock(store)

    store.database.transaction(others)
    late.join(30)
    wanted, _, _, ended = answers[0]
    assert (wanted, ended) == (int(news), ends)
    assert (journal(store), store.row(pk).status) == (["last"], "complete" if ends else "running")
