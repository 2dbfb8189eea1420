"""The documents example, run for real on the help texts of this Python and on folders made here."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from pydoc_data import topics

import pytest

from examples.documents import app
from examples.documents.app import Documents
from orchestrator.errors import InstanceErrored, InvalidParams
from tests.examples.conftest import RESULT_SECONDS, Start


def indexed_chunks() -> int:
    with closing(sqlite3.connect(app.INDEX)) as connection:
        count: int = connection.execute("SELECT count(*) FROM chunks").fetchone()[0]
        return count


def test_the_help_texts_are_split_in_parallel_steps_and_answer_a_query(start: Start) -> None:
    documents = start(Documents).workflow(Documents)

    instance = documents.create({"query": "enter and exit methods of a context manager"})
    answer = instance.result(timeout=RESULT_SECONDS)

    files = {hit.file for hit in answer.hits}
    splits = [view for view in instance.describe().steps if view.name.startswith("split ")]
    assert "context-managers.txt" in files
    assert answer.files == len(splits) == len(topics.topics) > 50
    assert answer.chunks == indexed_chunks() > len(splits)


def test_a_second_run_over_a_changed_folder_doubles_nothing_and_forgets_what_is_gone(
    start: Start, tmp_path: Path
) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "kept.txt").write_text("The heron stands still.")
    (folder / "changed.md").write_text("The kettle is cold.")
    (folder / "gone.rst").write_text("The ferry leaves at noon.")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    documents = start(Documents).workflow(Documents)
    ask = {"folder": str(folder), "query": "kettle ferry heron"}
    first = documents.create(ask).result(timeout=RESULT_SECONDS)

    (folder / "changed.md").write_text("The kettle is hot.")
    (folder / "gone.rst").unlink()
    second = documents.create(ask).result(timeout=RESULT_SECONDS)

    snippets = {hit.file: hit.snippet for hit in second.hits}
    assert (first.files, first.chunks) == (3, 3)
    assert (second.files, second.chunks, indexed_chunks()) == (2, 2, 2)
    assert snippets == {"kept.txt": "The [heron] stands still.", "changed.md": "The [kettle] is hot."}


def test_a_repeated_attempt_of_the_index_step_doubles_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("word " * 500)
    parts = [app.split(str(tmp_path), "a.txt", 200)]

    first = app.index(str(tmp_path), parts)
    again = app.index(str(tmp_path), parts)

    assert first == again
    assert first.chunks == indexed_chunks() > 10


def test_a_folder_that_is_not_there_ends_the_instance_at_once_and_is_named(start: Start, tmp_path: Path) -> None:
    instance = start(Documents).workflow(Documents).create({"query": "x", "folder": str(tmp_path / "nowhere")})

    with pytest.raises(InstanceErrored) as ended:
        instance.result(timeout=RESULT_SECONDS)

    assert "nowhere" in str(ended.value)
    assert [view.attempts for view in instance.describe().steps] == [1]


@pytest.mark.parametrize("params", [{}, {"query": "?!"}, {"query": "a", "chunk_chars": 3}])
def test_params_that_can_not_work_are_refused_before_anything_starts(start: Start, params: dict[str, object]) -> None:
    documents = start(Documents).workflow(Documents)

    with pytest.raises(InvalidParams, match=r"query|chunk_chars"):
        documents.create(params)

    assert documents.list() == []


@pytest.mark.parametrize("chunk_chars", [200, 1200, 20_000])
def test_the_chunks_of_every_topic_together_are_the_topic(chunk_chars: int) -> None:
    for text in [*topics.topics.values(), "x" * 5000, " " * 1000, ""]:
        spans = app.spans(text, chunk_chars)

        assert "".join(text[start:end] for start, end in spans) == text
        assert all(0 < end - start <= chunk_chars for start, end in spans)


def test_signs_of_the_query_language_are_only_signs(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the near shore")
    app.index(str(tmp_path), [app.split(str(tmp_path), "a.txt", 200)])

    hits = app.search(str(tmp_path), 'NEAR( "shore* AND -')

    assert [hit.file for hit in hits] == ["a.txt"]
