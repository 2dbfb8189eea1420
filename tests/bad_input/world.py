"""The workflows and instances that bad input is tried on; nothing of what is asked may change them."""

from __future__ import annotations

from typing import Any

from orchestrator.engine.host import register
from orchestrator.store.schema import metadata
from tests.engine.bench import Bench
from tests.remote.workflows import Echo, Orders
from web import WebSettings, create_app


class Daily(Echo):
    """Its class declares a schedule."""

    name = "daily"
    schedules = "0 7 * * *"


class World:
    """Instances of `orders`: `waits`, `waits-2` (for an event), `ended` (terminated), `fails` (errored)."""

    def __init__(self, database_url: str, **settings: Any) -> None:
        self.bench = Bench(database_url, **settings)
        for workflow in (Orders, Echo, Daily):
            self.bench.registry.add(workflow)
        register(self.bench.runtime)
        self.client = self.bench.client
        self.app = create_app(self.client, registry=self.bench.registry, settings=WebSettings())
        self.http = self.app.test_client()
        orders = self.client.workflow("orders")
        for id, params in (("waits", {}), ("waits-2", {}), ("ended", {}), ("fails", {"broken": True})):
            orders.create(params, id=id)
        self.bench.work()
        self.bench.after(2)
        orders.get("ended").terminate()
        orders.add_schedule("30 7 * * *")

    def rows(self) -> dict[str, int | str]:
        """How much there is of everything that a request can change, and how the instances are."""
        counted = {
            table.name: self.bench.rows(f"SELECT count(*) AS n FROM {table.name}")[0].n
            for table in metadata.sorted_tables
            if not table.name.endswith(("answers", "audit", "workers"))
        }
        states = self.bench.rows("SELECT status, modified_at FROM @instances ORDER BY id")
        return counted | {"states": str(states)}

    def close(self) -> None:
        self.bench.close()
