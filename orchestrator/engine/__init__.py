"""The use cases: advancing instances, running steps, changing their state; it builds no SQL and knows no broker."""
