"""Who is measured, with which programs, and under which promise; how is in the module of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.disturbance import undisturbed
from benchmarks.engine import Engine, Place
from benchmarks.programs import Measured, warm_up
from benchmarks.scale import FAMILIES, Scale, programs_of

Turn = Callable[[Place, Scale, Sequence[str]], Iterator[Measured]]


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    promise: str
    """What is on disk when a step counts as done, and the settings that matter."""
    families: tuple[str, ...]
    turn: Turn
    once: bool = False
    """In the first round only: what would come out the same each time, and takes long."""


def _engine(make: Callable[[Place], Engine]) -> Turn:
    def turn(place: Place, scale: Scale, families: Sequence[str]) -> Iterator[Measured]:
        with make(place) as engine:
            warm_up(engine)
            for _, program in programs_of(scale, families):
                yield from undisturbed(partial(program, engine), scale.tries)

    return turn


def _engine_beside_limit(make: Callable[[Place], Engine], url_of: Callable[[Place], str]) -> Turn:
    def turn(place: Place, scale: Scale, families: Sequence[str]) -> Iterator[Measured]:
        from benchmarks import limit

        with make(place) as engine:
            warm_up(engine)
            for family, program in programs_of(scale, families):
                yield from undisturbed(partial(program, engine), scale.tries)
                if family == "seq":
                    yield from undisturbed(partial(limit.beside, url_of(place), scale.rows), scale.tries)

    return turn


# The modules of the peers are imported in their own turns only: each process loads one engine and nothing else.


def _ours_sqlite(place: Place) -> Engine:
    from benchmarks.ours import OursEmbedded

    return OursEmbedded(place)


def _ours_sqlite_normal(place: Place) -> Engine:
    from benchmarks.ours import OursEmbedded

    return OursEmbedded(place, synchronous="NORMAL")


def _ours_postgres(processes: int) -> Callable[[Place], Engine]:
    def make(place: Place) -> Engine:
        from benchmarks.ours import OursWorkers

        return OursWorkers(place, processes=processes)

    return make


def _celery(processes: int) -> Callable[[Place], Engine]:
    def make(place: Place) -> Engine:
        from benchmarks.celery_chain import CeleryChain

        return CeleryChain(place, processes=processes)

    return make


def _dbos_sqlite(place: Place) -> Engine:
    from benchmarks.dbos_peer import Dbos

    return Dbos(place.sqlite_url("dbos"))


def _dbos_postgres(place: Place) -> Engine:
    from benchmarks.dbos_peer import Dbos

    return Dbos(place.postgres_url)


def _restate(place: Place) -> Engine:
    from benchmarks.restate_peer import Restate

    return Restate(place)


def _idle_postgres(place: Place, scale: Scale, families: Sequence[str]) -> Iterator[Measured]:
    from benchmarks import idle

    yield from idle.on_postgres(place, scale)


def _idle_sqlite(place: Place, scale: Scale, families: Sequence[str]) -> Iterator[Measured]:
    from benchmarks import idle

    yield from idle.on_sqlite(place, scale)


def _replay(place: Place, scale: Scale, families: Sequence[str]) -> Iterator[Measured]:
    from benchmarks import replay

    yield from replay.measure(place, scale)


_ALONE = tuple(family for family in FAMILIES if family != "nap")
_DBOS = tuple(family for family in _ALONE if family != "fan_def")
_PG = "PostgreSQL 18, fsync=on, synchronous_commit=on"
_AOF = "Valkey 9, appendonly yes, appendfsync always"

CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender(
            "ours sqlite",
            "WAL, synchronous=FULL; one process, embedded",
            _ALONE,
            _engine_beside_limit(_ours_sqlite, lambda place: place.sqlite_url("limit")),
        ),
        Contender(
            "ours sqlite NORMAL",
            "WAL, synchronous=NORMAL: the last steps may be lost with the power; to compare with nothing",
            ("seq",),
            _engine(_ours_sqlite_normal),
        ),
        Contender(
            "dbos sqlite",
            "journal_mode=DELETE, synchronous=FULL, which is how it comes; one process",
            _DBOS,
            _engine(_dbos_sqlite),
        ),
        Contender(
            "ours postgres",
            f"{_PG}; {_AOF}; one worker process of 16 slots",
            _ALONE,
            _engine_beside_limit(_ours_postgres(1), lambda place: place.postgres_url),
        ),
        Contender(
            "ours postgres x2",
            f"{_PG}; {_AOF}; two worker processes of 8 slots",
            ("many", "many_def", "fan_def", "timers", "nap"),
            _engine(_ours_postgres(2)),
        ),
        Contender("dbos postgres", f"{_PG}; one process, the client in it", _DBOS, _engine(_dbos_postgres)),
        Contender(
            "celery",
            f"{_AOF}; acks_late, results in the same Valkey; threads pool, one process of 16 slots; no memory of steps",
            ("seq", "fan", "many", "start", "timers", "retry"),
            _engine(_celery(1)),
        ),
        Contender(
            "celery x2",
            f"{_AOF}; acks_late, results in the same Valkey; threads pool, two processes of 8 slots",
            ("many", "timers", "nap"),
            _engine(_celery(2)),
        ),
        Contender("restate", "RocksDB WAL with fsync, which is how it comes", _ALONE, _engine(_restate)),
        Contender("replay", "journals in SQLite and in PostgreSQL, read and replayed", ("replay",), _replay),
        Contender("idle sqlite", "one process, embedded, with nothing to do", ("idle",), _idle_sqlite, once=True),
        Contender(
            "idle postgres", "one worker process of 16 slots with nothing to do", ("idle",), _idle_postgres, once=True
        ),
    )
}
