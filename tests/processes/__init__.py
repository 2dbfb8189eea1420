"""Real workers, as processes on PostgreSQL and Valkey and inside this one on SQLite; every test is a promise kept."""
