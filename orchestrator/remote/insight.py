"""What the handle of a workflow on a server tells of its code and its numbers; it changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.errors import VersionNotFound
from orchestrator.inspection import AggregateRow, VersionView, check_aggregates
from orchestrator.names import is_text
from orchestrator.remote.address import can_be_in_a_path
from orchestrator.remote.records import record, to_text

if TYPE_CHECKING:
    from orchestrator.remote.root import RemoteClient
    from orchestrator.remote.transport import Transport


class RemoteInsight:
    client: RemoteClient
    name: str

    def aggregates(
        self,
        since: int | None = None,
        until: int | None = None,
        group_by: Sequence[str] = ("hour",),
        step: str | None = None,
    ) -> Sequence[AggregateRow]:
        """As `RemoteClient.aggregates`, of this workflow."""
        return counted(self.client.transport, ("workflows", self.name), since, until, group_by, step)

    def versions(self) -> Sequence[VersionView]:
        """Its code as workers have registered it, each distinct one once; the one they started with last comes first."""
        answer = self.client.transport.get("workflows", self.name, "versions")
        return [record(VersionView, row) for row in answer["versions"]]

    def version(self, id: str) -> VersionView:
        """Raises VersionNotFound."""
        return record(VersionView, self.client.transport.get("workflows", self.name, "versions", self._named(id)))

    def graph(self, version_id: str | None = None) -> dict[str, Any]:
        """The shape of its code, of the newest version unless one is named. Raises VersionNotFound."""
        named = ("versions", self._named(version_id)) if version_id else ()
        return self.client.transport.get("workflows", self.name, *named, "graph")

    def _named(self, id: str) -> str:
        if not (is_text(id) and can_be_in_a_path(id) and "/" not in id):
            raise VersionNotFound(f"Workflow {self.name!r} has no version {id!r}.")
        return id


def counted(
    transport: Transport,
    place: tuple[str, ...],
    since: int | None,
    until: int | None,
    group_by: Sequence[str],
    step: str | None,
) -> list[AggregateRow]:
    chosen = check_aggregates(group_by, since, until)
    query = {
        "since": None if since is None else to_text(since),
        "until": None if until is None else to_text(until),
        "group_by": ",".join(chosen),
        "step": step,
    }
    return [record(AggregateRow, row) for row in transport.get(*place, "aggregates", query=query)["aggregates"]]
