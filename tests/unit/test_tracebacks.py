"""A test that fails is told as it failed, also where Python knows no line."""

from __future__ import annotations

import pytest

from tests.tracebacks import number_lines


def _without_lines() -> None:
    raise ValueError("there")


_LENGTH = len(_without_lines.__code__.co_code) // 2
# Entries for one to eight instructions each that say "no location": CPython's Objects/locations.md, code 15.
_NOWHERE = bytes(0x80 | 15 << 3 | min(8, _LENGTH - begin) - 1 for begin in range(0, _LENGTH, 8))
_without_lines.__code__ = _without_lines.__code__.replace(co_linetable=_NOWHERE)


def _and_something_behind_it() -> None:
    try:
        _without_lines()
    except ValueError as error:
        raise RuntimeError("outer") from error


def test_an_error_raised_where_python_knows_no_line_can_be_printed() -> None:
    with pytest.raises(ValueError, match="there") as caught:
        _without_lines()
    with pytest.raises(TypeError):
        caught.getrepr()
    number_lines(caught.value)
    told = pytest.ExceptionInfo.from_exception(caught.value).getrepr()
    assert "there" in str(told)
    assert "test_tracebacks.py" in str(told)


def test_the_errors_behind_an_error_can_be_printed_too() -> None:
    with pytest.raises(RuntimeError, match="outer") as caught:
        _and_something_behind_it()
    number_lines(caught.value)
    assert "there" in str(caught.getrepr(chain=True))
