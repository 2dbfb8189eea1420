"""The HTTP client itself: it keeps the connections to a server and hands out handles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from orchestrator.authoring.views import P
from orchestrator.authoring.workflow import Definition, WorkflowEntrypoint
from orchestrator.errors import SettingsError
from orchestrator.inspection import AggregateRow, InstanceView, ScheduleView, WorkflowView, check_page
from orchestrator.names import check_workflow_name
from orchestrator.remote.access import RemoteAccess
from orchestrator.remote.insight import counted
from orchestrator.remote.messages import RemoteMessageActions
from orchestrator.remote.records import record
from orchestrator.remote.transport import Transport
from orchestrator.remote.workflow import RemoteWorkflowClient, bounds
from orchestrator.settings import Settings

TIMEOUT_S = 30.0


class RemoteClient(RemoteMessageActions):
    """`RemoteClient(url, token)` has the interface of `Client`; it needs no database, and httpx.

    Without arguments it reads ORCHESTRATOR_API_URL and ORCHESTRATOR_API_TOKEN. What gets no answer is sent again, a
    few times. A change carries an Idempotency-Key, by which the server carries it out once however often it comes; if
    in the end there is no answer to it, ServerUnavailable says that it may have been carried out.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        insecure: bool | None = None,
    ) -> None:
        settings = Settings()
        url = url or settings.api_url
        if not url:
            raise SettingsError(
                "No server is given: RemoteClient(url, token), or ORCHESTRATOR_API_URL and ORCHESTRATOR_API_TOKEN."
            )
        insecure = settings.api_insecure if insecure is None else insecure
        if token is None and settings.api_token is not None:
            token = settings.api_token.get_secret_value()
        self.transport = Transport(url, _checked(token), timeout_s=timeout_s, insecure=insecure)
        self._known: set[str] = set()

    def __repr__(self) -> str:
        return f"<RemoteClient {self.url}>"

    @property
    def url(self) -> str:
        return self.transport.url

    @overload
    def workflow(self, workflow: type[WorkflowEntrypoint[P]]) -> RemoteWorkflowClient[P]: ...
    @overload
    def workflow(self, workflow: str) -> RemoteWorkflowClient[Any]: ...

    def workflow(self, workflow: type[WorkflowEntrypoint[Any]] | str) -> RemoteWorkflowClient[Any]:
        """A workflow by its class, whose params are then checked here, or by name.

        Raises WorkflowNotFound for a name that no worker has ever registered.
        """
        if not isinstance(workflow, str):
            definition = Definition.of(workflow)
            return RemoteWorkflowClient(self, definition.name, definition)
        name = check_workflow_name(workflow)
        if name not in self._known:
            self.transport.get("workflows", name)
            self._known.add(name)
        return RemoteWorkflowClient(self, name, None)

    def workflows(self) -> list[WorkflowView]:
        return [record(WorkflowView, row) for row in self.transport.get("workflows")["workflows"]]

    def instances(
        self,
        *,
        status: Sequence[str] | None = None,
        limit: int = 25,
        before: int | None = None,
        oldest_first: bool = False,
        since: int | None = None,
        until: int | None = None,
    ) -> list[InstanceView]:
        """Instances of all workflows, newest first; `since` and `until` bound the creation, in epoch milliseconds."""
        check_page(limit, status, before, since, until)
        query = {"status": status, **bounds(oldest_first, since, until)}
        return self.pages(("instances",), limit, before, query)

    @property
    def access(self) -> RemoteAccess:
        """Tokens for the REST interface, and the log of changes."""
        return RemoteAccess(self)

    def schedules(self) -> list[ScheduleView]:
        """The schedules of all workflows."""
        return [record(ScheduleView, row) for row in self.transport.get("schedules")["schedules"]]

    def aggregates(
        self,
        since: int | None = None,
        until: int | None = None,
        group_by: Sequence[str] = ("hour",),
        step: str | None = None,
        *,
        workflow: str | None = None,
    ) -> list[AggregateRow]:
        """How often and how fast workflows ran between two times (epoch ms; the last 24 hours unless given).

        `group_by`: any of hour or day, workflow, step. With `step=`, or grouped by it, it is about steps. Raises
        InvalidAggregates.
        """
        place = () if workflow is None else ("workflows", workflow)
        return counted(self.transport, place, since, until, group_by, step)

    def pages(self, path: tuple[str, ...], limit: int, cursor: int | None, query: dict[str, Any]) -> list[InstanceView]:
        """So many instances of a list, asked for page by page."""
        statuses = query.get("status")
        asked = query | {"status": ",".join(statuses) if statuses else None}
        rows = self.transport.rows(*path, within="instances", limit=limit, cursor=cursor, query=asked)
        return [record(InstanceView, row) for row in rows]

    def close(self) -> None:
        self.transport.close()

    def __enter__(self) -> RemoteClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _checked(token: str | None) -> str | None:
    """A token that can stand in a header; what is wrong is said without it."""
    token = token.strip() if token else None
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise SettingsError("The token has characters that no token has: give it as it was shown when it was made.")
    return token
