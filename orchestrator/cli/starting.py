"""While `orchestrator dev` starts here, its tables are about to be there: wait for them, and for nothing else."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from orchestrator.cli.configuration import without_password
from orchestrator.cli.devfile import still_starting_s
from orchestrator.cli.output import note
from orchestrator.errors import DatabaseUnavailable, SchemaBehind

if TYPE_CHECKING:
    from orchestrator.client import Client

PAUSE_S = 0.1


def wait_for_tables(client: Client) -> None:
    """Until they are there, or the start has taken too long: then whoever uses the client is told what is missing."""
    database = without_password(client.settings.database_url)
    said = False
    while still_starting_s(database):
        try:
            _ = client.desk
        except (SchemaBehind, DatabaseUnavailable):
            if not said:
                note("`orchestrator dev` is starting here: waiting for its tables.")
            said = True
            threading.Event().wait(PAUSE_S)
        else:
            return
