"""Measures our speed and that of its peers on the same work; nothing that ships may import it."""
