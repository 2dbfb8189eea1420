"""Random workflow programs on real worker processes, while everything around them is broken on purpose."""
