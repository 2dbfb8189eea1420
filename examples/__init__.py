"""Makes the examples importable by name for the demo and the tests; nothing in the product may import them."""
