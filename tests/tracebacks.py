"""Why a failing test is always told: mends tracebacks that pytest can't print; it must not change what a test sees."""

from __future__ import annotations

from types import TracebackType


def number_lines(error: BaseException) -> None:
    """Give every entry of `error`'s traceback, and of those behind it, a line number.

    Python 3.11 has none for some instructions (those that clean up after a `with`), and an error that a signal raises
    just there, as the one for a test that takes too long, has an entry with `tb_lineno` None. pytest subtracts one
    from it and dies, and with it the report of which test it was.
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = _numbered(one.__traceback__)
        waiting += [one.__cause__, one.__context__, *(one.exceptions if isinstance(one, BaseExceptionGroup) else ())]


def _numbered(entry: TracebackType | None) -> TracebackType | None:
    entries: list[TracebackType] = []
    while entry is not None:
        entries.append(entry)
        entry = entry.tb_next
    following: TracebackType | None = None
    for entry in reversed(entries):
        line: int | None = entry.tb_lineno  # the stubs promise a number
        if line is None:
            first = entry.tb_frame.f_code.co_firstlineno
            entry = TracebackType(following, entry.tb_frame, entry.tb_lasti, first)
        elif entry.tb_next is not following:
            entry.tb_next = following
        following = entry
    return following
