"""`orchestrator openapi`: the REST interface as a document, of this version or of a server; it needs no database."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from orchestrator.cli.command import client_command
from orchestrator.cli.output import Output, to_json, write
from orchestrator.cli.remote import remote_client, server_of


@client_command("openapi")
def openapi(ctx: click.Context) -> None:
    """Write the OpenAPI document of the REST interface: of this version, or with --url of that server."""
    server = server_of(ctx)
    if server:
        with remote_client(ctx, server) as client:
            document = client.transport.get("openapi.json")
    else:
        # A part of its own, which the command line alone puts beside the others.
        web: Any = import_module("web.api.document")
        document = web.standing_alone()
    # Nobody wants it as a table, and it has no id but its address.
    Output.of(ctx).record(document, id="openapi.json", show=lambda: write(to_json(document, indent=2)))
