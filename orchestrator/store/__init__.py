"""Tables and SQL as functions over a connection; it decides nothing and announces nothing."""
