"""One example: a fan-out over real text files; see app.py."""
