"""What the benchmarks can't measure is refused before anything is started, with what there is."""

from __future__ import annotations

import pytest

from benchmarks import __main__ as command


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--only", "seq,nothing"], "there is no 'nothing'; there are seq"),
        (["--peers", "nobody"], "there are ours sqlite"),
    ],
)
def test_what_is_not_there_is_named(
    arguments: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
