"""Drives a workflow function from its journal to the point where it can go no further; no I/O, no clock, no chance."""
