"""Shows a fan-out over real text: many parallel steps, then one index, then an answer; it touches local files only."""

import asyncio
import hashlib
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from pydoc_data import topics

from pydantic import BaseModel, Field

from orchestrator import NonRetryableError, WorkflowEntrypoint, WorkflowEvent, WorkflowStep

DATA = Path(".orchestrator/examples/documents")
INDEX = Path(".orchestrator/examples/documents.db")
TEXT_SUFFIXES = frozenset({".txt", ".md", ".rst"})
HITS = 5

Span = tuple[int, int]


class Question(BaseModel):
    query: str = Field(max_length=500, pattern=r"\w", description="what to look for, in plain words")
    folder: str | None = Field(default=None, description="a folder of text files; without it, Python's own help texts")
    chunk_chars: int = Field(default=1200, ge=200, le=20_000, description="the longest chunk, in characters")


class Corpus(BaseModel):
    folder: str
    files: list[str]


class Split(BaseModel):
    """Where a file's chunks are, not the chunks: what a step returns is stored, and the text is on disk already."""

    file: str
    digest: str
    spans: list[Span]


class Indexed(BaseModel):
    files: int
    chunks: int


class Hit(BaseModel):
    file: str
    score: float
    snippet: str


class Answer(BaseModel):
    query: str
    folder: str
    files: int
    chunks: int
    hits: list[Hit]


class Documents(WorkflowEntrypoint[Question]):
    """Splits every text file of a folder in parallel, indexes the chunks and answers a query."""

    async def run(self, event: WorkflowEvent[Question], step: WorkflowStep) -> Answer:
        question = event.payload

        @step.do("collect files")
        def collected() -> Corpus:
            folder = Path(question.folder).expanduser().resolve() if question.folder else export_topics(DATA.resolve())
            return Corpus(folder=str(folder), files=text_files(folder))

        corpus = await collected()
        splits = await asyncio.gather(
            *(step.do(f"split {name}", split, corpus.folder, name, question.chunk_chars) for name in corpus.files)
        )
        indexed = await step.do("index chunks", index, corpus.folder, splits)
        hits = await step.do("answer query", search, corpus.folder, question.query)
        return Answer(query=question.query, folder=corpus.folder, files=indexed.files, chunks=indexed.chunks, hits=hits)


def export_topics(folder: Path) -> Path:
    """Write the help texts that come with every Python, one file per topic; writing them again changes nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    for topic, text in topics.topics.items():
        content = text.encode()
        target = folder / f"{topic}.txt"
        if not target.exists() or target.read_bytes() != content:
            # Another instance may be reading: it must see the old file or the new one, never half of one.
            unfinished = target.with_suffix(f".{os.getpid()}.tmp")
            unfinished.write_bytes(content)
            unfinished.replace(target)
    return folder


def text_files(folder: Path) -> list[str]:
    """The text files below a folder, sorted: the order of the steps must not depend on the file system's."""
    if not folder.is_dir():
        raise NonRetryableError(f"There is no folder {folder}. Give the path of a folder that the worker can read.")
    files = (path for path in folder.rglob("*") if path.suffix.lower() in TEXT_SUFFIXES and path.is_file())
    names = sorted(path.relative_to(folder).as_posix() for path in files)
    if not names:
        raise NonRetryableError(f"{folder} holds no text files ({', '.join(sorted(TEXT_SUFFIXES))}).")
    return names


def read(folder: str, name: str) -> tuple[str, str]:
    """A file's text and the digest of its bytes."""
    content = (Path(folder) / name).read_bytes()
    return content.decode(errors="replace"), hashlib.sha256(content).hexdigest()


def split(folder: str, name: str, chunk_chars: int) -> Split:
    """One parallel step: pure reading, so running it twice gives the same answer twice."""
    text, digest = read(folder, name)
    return Split(file=name, digest=digest, spans=spans(text, chunk_chars))


def spans(text: str, chunk_chars: int) -> list[Span]:
    """Cut a text into pieces that together are the text, each at the last paragraph, line or word that fits."""
    found: list[Span] = []
    start = 0
    while start < len(text):
        end = min(start + chunk_chars, len(text))
        if end < len(text):
            # A break in the first half would leave a crumb: prefer a lesser break further on.
            breaks = (text.rfind(mark, start + chunk_chars // 2, end) + len(mark) for mark in ("\n\n", "\n", " "))
            end = next((at for at in breaks if at > start + chunk_chars // 2), end)
        found.append((start, end))
        start = end
    return found


def open_index() -> sqlite3.Connection:
    """The index file, made on first use; every example run shares it and keeps to its own folder's rows."""
    INDEX.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(INDEX, timeout=30)
    connection.execute("CREATE TABLE IF NOT EXISTS files (folder, name, digest, spans, PRIMARY KEY (folder, name))")
    connection.execute(
        "CREATE VIRTUAL TABLE IF NOT EXISTS chunks USING fts5"
        " (folder UNINDEXED, name UNINDEXED, text, tokenize = 'porter unicode61')"
    )
    return connection


def index(folder: str, splits: list[Split]) -> Indexed:
    """Make the index say what the files say: a file that is there already is left alone, a changed one is replaced.

    All in one transaction, so a second attempt finds either everything or nothing of the first.
    """
    with closing(open_index()) as connection, connection:
        connection.execute("BEGIN IMMEDIATE")  # two instances that index at once wait for each other
        rows = connection.execute("SELECT name, digest, spans FROM files WHERE folder = ?", (folder,))
        known = {name: (digest, cuts) for name, digest, cuts in rows}
        wanted = {part.file: (part.digest, str(part.spans)) for part in splits}
        stale = [name for name, state in known.items() if wanted.get(name) != state]
        connection.executemany("DELETE FROM chunks WHERE folder = ? AND name = ?", [(folder, name) for name in stale])
        connection.executemany("DELETE FROM files WHERE folder = ? AND name = ?", [(folder, name) for name in stale])
        for part in splits:
            if known.get(part.file) != wanted[part.file]:
                add(connection, folder, part)
    return Indexed(files=len(splits), chunks=sum(len(part.spans) for part in splits))


def add(connection: sqlite3.Connection, folder: str, part: Split) -> None:
    text, digest = read(folder, part.file)
    if digest != part.digest:
        raise NonRetryableError(f"{part.file} was changed after it was split. Trigger the workflow again.")
    chunks = [(folder, part.file, text[start:end]) for start, end in part.spans]
    connection.executemany("INSERT INTO chunks (folder, name, text) VALUES (?, ?, ?)", chunks)
    connection.execute("INSERT INTO files VALUES (?, ?, ?, ?)", (folder, part.file, digest, str(part.spans)))


def search(folder: str, query: str) -> list[Hit]:
    """The best chunk of each of the best files; the words of a query are only words, whatever signs stand between."""
    words = re.findall(r"\w+", query)
    telling = [word for word in words if len(word) > 2] or words
    with closing(open_index()) as connection:
        rows = connection.execute(
            "SELECT name, -bm25(chunks), snippet(chunks, 2, '[', ']', '…', 24) FROM chunks"
            " WHERE chunks MATCH ? AND folder = ? ORDER BY bm25(chunks), name, rowid",
            (" OR ".join(f'"{word}"' for word in telling), folder),
        )
        hits = (Hit(file=name, score=round(score, 2), snippet=" ".join(text.split())) for name, score, text in rows)
        return list(islice(best_of_each_file(hits), HITS))


def best_of_each_file(hits: Iterable[Hit]) -> Iterator[Hit]:
    """Leaves out a file's lesser chunks, and a passage that another file has word for word."""
    seen: set[str] = set()
    for hit in hits:
        if hit.file not in seen and hit.snippet not in seen:
            yield hit
        seen |= {hit.file, hit.snippet}
