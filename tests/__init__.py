"""Marks the tests as one package, so that they can share `tests.services`; it must stay empty."""
