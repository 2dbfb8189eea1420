"""Which server a command speaks to, if any: options, environment and `.env`; without one it is the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from orchestrator.remote import RemoteClient
    from orchestrator.settings import Settings

_URL, _TOKEN = "orchestrator.cli.url", "orchestrator.cli.token"


def remote_options() -> list[click.Option]:
    """`--url` and `--token`, which every command has that works on a server as well as on a database."""

    def remember(key: str) -> Any:
        def keep(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
            if value:
                ctx.meta[key] = (value, ctx.get_parameter_source(str(param.name)))

        return keep

    return [
        click.Option(
            ["--url"], metavar="URL", envvar="ORCHESTRATOR_API_URL", show_envvar=True, expose_value=False,
            callback=remember(_URL), help="Work on this server, over HTTP, instead of on the database.",
        ),
        click.Option(
            ["--token"], metavar="TOKEN", envvar="ORCHESTRATOR_API_TOKEN", show_envvar=True, expose_value=False,
            callback=remember(_TOKEN), help="The token for the server; the environment hides it from other users.",
        ),
    ]  # fmt: skip


def server_of(ctx: click.Context) -> str | None:
    """The address of the server the command works on; None where it works on the database.

    Raises UsageError for a token without a server.
    """
    from click.core import ParameterSource

    url, _ = ctx.meta.get(_URL, (None, None))
    url = url or _settings().api_url
    _, source = ctx.meta.get(_TOKEN, (None, None))
    if url is None and source == ParameterSource.COMMANDLINE:
        raise UsageError("A token is for a server, and none is given: --url, or ORCHESTRATOR_API_URL.")
    return str(url) if url else None


def remote_client(ctx: click.Context, url: str) -> RemoteClient:
    """Raises SettingsError, HttpClientNotInstalled."""
    from orchestrator.remote import RemoteClient

    settings = _settings()
    token, _ = ctx.meta.get(_TOKEN, (None, None))
    if token is None and settings.api_token is not None:
        token = settings.api_token.get_secret_value()
    return RemoteClient(url, token, insecure=settings.api_insecure)


def _settings() -> Settings:
    from orchestrator.cli.configuration import settings_with

    return settings_with()
