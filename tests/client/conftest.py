"""The engine's bench, so that a client's requests are answered by real work."""

from tests.engine.conftest import bench, bodies, make_bench

__all__ = ["bench", "bodies", "make_bench"]
