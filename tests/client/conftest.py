"""The engine's bench, so that a client's requests are answered by real work."""

from tests.engine.conftest import _shared_postgres, bench, bodies, emptied_postgres_url, make_bench

__all__ = ["_shared_postgres", "bench", "bodies", "emptied_postgres_url", "make_bench"]
