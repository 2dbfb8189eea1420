"""From what a command was given to a client, a workflow and an instance; it must not print anything but notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import click

from orchestrator.cli.command import INSTANCE
from orchestrator.cli.completing import instance_ids, workflow_names
from orchestrator.cli.configuration import settings_with
from orchestrator.cli.devfile import app_of_dev
from orchestrator.cli.lazy import similar
from orchestrator.cli.output import note
from orchestrator.cli.remote import remote_client, server_of
from orchestrator.errors import InstanceNotFound, OrchestratorError, SetupError, UsageError, WorkflowNotFound

if TYPE_CHECKING:
    from orchestrator.authoring.workflow import Definition, WorkflowEntrypoint
    from orchestrator.client import Client, Instance, WorkflowClient
    from orchestrator.remote import RemoteClient, RemoteInstance, RemoteWorkflowClient

    AnyClient = Client | RemoteClient
    AnyWorkflow = WorkflowClient[Any] | RemoteWorkflowClient[Any]
    AnyInstance = Instance | RemoteInstance

app_option = click.option(
    "--app",
    envvar="ORCHESTRATOR_APP",
    show_envvar=True,
    metavar="APP",
    help="The application: app.py, path/app.py or package.module.",
)
workflow_argument = click.argument("workflow", metavar="NAME", shell_complete=workflow_names)
instance_argument = click.argument("instance_id", metavar="ID", shell_complete=instance_ids)
instances_argument = click.argument(
    "instance_ids", metavar="ID...", nargs=-1, required=True, shell_complete=instance_ids
)
optional_instances_argument = click.argument("instance_ids", metavar="[ID...]", nargs=-1, shell_complete=instance_ids)
SHORTEST_PREFIX = 4
_LISTED = 10


@contextmanager
def connect(ctx: click.Context) -> Iterator[AnyClient]:
    """The client of this process; a workflow name that isn't known gets the names that are near."""
    server = server_of(ctx)
    with _client(ctx, server) as client:
        try:
            yield client
        except WorkflowNotFound as error:
            if "did you mean" not in error.message.lower():
                known = {workflow.name for workflow in client.workflows()}
                known |= set() if server else set(_application(None) or ())
                if likely := similar(str(ctx.params.get("workflow") or ""), known):
                    error.add_note(f"Did you mean {' or '.join(likely)}?")
            raise
        except SetupError as error:
            if server and not error.code.startswith("server."):
                error.add_note(f"It is the server at {server} that says so, of itself.")
            raise


def _client(ctx: click.Context, server: str | None) -> AnyClient:
    # A test hands its own client over as the context's object: the one seam of the command line.
    if callable(ctx.obj):
        return cast("Client", ctx.obj())
    if server:
        return remote_client(ctx, server)
    from orchestrator.cli.starting import wait_for_tables
    from orchestrator.client import Client

    client = Client()
    wait_for_tables(client)
    return client


def find_workflow(ctx: click.Context, client: AnyClient, name: str) -> AnyWorkflow:
    """The workflow of that name, even if no worker has registered it yet: then the application may know it."""
    try:
        return client.workflow(name)
    except WorkflowNotFound:
        definition = None if server_of(ctx) else (_application(None) or {}).get(name)
        if definition is None:
            raise
        return client.workflow(definition.cls)


def find_instance(ctx: click.Context, client: AnyClient, instance_id: str) -> AnyInstance:
    """The instance of that id, the only one whose id begins so, or the newest for `latest`.

    Raises UsageError for the beginning of several ids.
    """
    workflow = find_workflow(ctx, client, ctx.params["workflow"])
    if instance_id == "latest":
        instance = workflow.latest()
    else:
        try:
            instance = workflow.get(instance_id)
        except InstanceNotFound:
            instance = workflow.get(_only_one(workflow, instance_id))
    ctx.meta[INSTANCE] = instance.id
    return instance


def _only_one(workflow: AnyWorkflow, prefix: str) -> str:
    """The id that begins so, or what was given where none does."""
    found = workflow.find(prefix, limit=_LISTED + 1) if len(prefix) >= SHORTEST_PREFIX else []
    if len(found) > 1:
        listed = "".join(f"\n  {view.id}  {view.status}" for view in found[:_LISTED])
        more = "\n  …" if len(found) > _LISTED else ""
        raise UsageError(
            f"{prefix!r} is the beginning of more than one instance id of {workflow.name}; give more of it:{listed}{more}"
        )
    return found[0].id if found else prefix


def known_class(ctx: click.Context, app: str | None, name: str) -> type[WorkflowEntrypoint[Any]] | str:
    """The workflow's class if an application says which it is, else its name.

    With the class the client checks params before anything is written. An application that was named must import;
    one that only `orchestrator dev` left behind may be gone or broken, and the name will do. A server checks itself.
    """
    if server_of(ctx):
        return name
    named = app or settings_with().app
    if named:
        from orchestrator.application import load_application

        definition = load_application(named).get(name)
    else:
        definition = (_application("the params are not checked here") or {}).get(name)
    return name if definition is None else definition.cls


def _application(consequence: str | None) -> Mapping[str, Definition] | None:
    """The application that is at hand, if it imports; if not, and there is a consequence, say it."""
    from orchestrator.application import load_application

    spec = settings_with().app or app_of_dev()
    if spec is None:
        return None
    try:
        return load_application(spec)
    except OrchestratorError:
        if consequence:
            note(f"Note: {spec}, of the last `orchestrator dev`, does not import, so {consequence}.")
        return None
