"""One example: a long sleep in a workflow written without async; see app.py."""
