"""`orchestrator tokens` and `orchestrator audit`: who may use the server, and what was done, on the database or a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orchestrator.cli.command import client_command
from orchestrator.cli.connection import connect
from orchestrator.cli.lazy import Entry, LazyGroup
from orchestrator.cli.output import Output, note, table
from orchestrator.cli.wording import relative
from orchestrator.clock import SystemClock

if TYPE_CHECKING:
    from rich.console import RenderableType

    from orchestrator.cli.connection import AnyClient
    from orchestrator.client import TokenView

TOKENS = {
    "create": Entry("orchestrator.cli.access:create", "Create a token and print its secret, once."),
    "list": Entry("orchestrator.cli.access:list_tokens", "List the tokens."),
    "revoke": Entry("orchestrator.cli.access:revoke", "Revoke a token."),
}
AUDIT = {"list": Entry("orchestrator.cli.access:list_audit", "List changes, newest first.")}
ACTOR = "command line"
ROLES = ("read", "trigger", "operate", "admin")


@click.group("tokens", cls=LazyGroup, entries=TOKENS)
def tokens() -> None:
    """Create, list and revoke access tokens for the server."""


@click.group("audit", cls=LazyGroup, entries=AUDIT)
def audit() -> None:
    """Look at the log of changes."""


@client_command("create")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="read", show_default=True)
@click.option("--workflow", "workflows", multiple=True, metavar="PATTERN", help="Only for these; repeatable [all].")
@click.option("--expires", metavar="DURATION", help="After how long, such as '90 days' [never].")
def create(ctx: click.Context, name: str, role: str, workflows: tuple[str, ...], expires: str | None) -> None:
    """Create a token and print its secret, which is shown this once."""
    with connect(ctx) as client:
        secret, view = client.access.create_token(name, role=role, workflows=workflows or ("*",), expires=expires)
        _log(client, "create_token", view, role)

    def show() -> RenderableType | None:
        note("This is the only time that the secret is shown.")
        click.echo(secret)
        return None

    Output.of(ctx).record({"secret": secret} | view.to_dict(), id=view.id, show=show)


@client_command("list")
def list_tokens(ctx: click.Context) -> None:
    """List the tokens; their secrets are stored nowhere."""
    with connect(ctx) as client:
        found = client.access.tokens()
    now_ms = SystemClock().now_ms()

    def show() -> RenderableType | None:
        if not found:
            note("There are no tokens. Create one: orchestrator tokens create NAME --role operate")
            return None
        rows = [
            (
                each.id,
                each.name,
                each.role,
                ", ".join(each.workflows),
                _state(each, now_ms),
                _when(each.used_at, now_ms),
            )
            for each in found
        ]
        return table(("Id", "Name", "Role", "Workflows", "State", "Used"), rows)

    Output.of(ctx).rows([each.to_dict() for each in found], ids=[each.id for each in found], show=show)


@client_command("revoke")
@click.argument("token_id", metavar="ID")
def revoke(ctx: click.Context, token_id: str) -> None:
    """Revoke a token: it is refused from now on."""
    with connect(ctx) as client:
        view = client.access.revoke_token(token_id)
        _log(client, "revoke_token", view, "revoked")
    Output.of(ctx).record(view.to_dict(), id=view.id, show=lambda: note(f"Token {view.id} ({view.name}) is revoked."))


@client_command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=25, show_default=True, metavar="N")
def list_audit(ctx: click.Context, limit: int) -> None:
    """List changes, newest first: when, who, what, on what, and what came of it."""
    with connect(ctx) as client:
        found = client.access.audit(limit=limit)
    now_ms = SystemClock().now_ms()

    def show() -> RenderableType | None:
        if not found:
            note("Nothing was changed yet.")
            return None
        rows = [(relative(row.at, now_ms), row.actor, row.action, row.target, row.result) for row in found]
        return table(("When", "Who", "What", "On", "Result"), rows)

    Output.of(ctx).rows([row.to_dict() for row in found], ids=[str(row.id) for row in found], show=show)


def _log(client: AnyClient, action: str, token: TokenView, result: str) -> None:
    """At the database; a server writes its log itself."""
    from orchestrator.client import Access

    if isinstance(client.access, Access):
        client.access.record(ACTOR, action, f"token {token.id} ({token.name})", result)


def _state(token: TokenView, now_ms: int) -> str:
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is None:
        return "valid"
    return "expired" if token.expires_at <= now_ms else f"until {relative(token.expires_at, now_ms)}"


def _when(at_ms: int | None, now_ms: int) -> str:
    return "never" if at_ms is None else relative(at_ms, now_ms)
