"""Where a server is and whether it may be talked to in the open: nothing here sends anything."""

from __future__ import annotations

import ipaddress
from urllib.parse import quote, urlsplit

from orchestrator.errors import SettingsError

BASE = "/api/v1"
EXAMPLE = "https://orchestrator.example.com"


def checked_url(url: str, *, insecure: bool) -> str:
    """The address without what follows the server's root. Raises SettingsError with what is wrong about it."""
    shown = f"The server's address {without_secrets(url)!r}"
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"{shown} can't be read: {error}. Give one such as {EXAMPLE}.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"{shown} is not an http or https address. Give one such as {EXAMPLE}.")
    if parts.username is not None or parts.password is not None:
        raise SettingsError(f"{shown} has a user or password in it. Give the token apart, as ORCHESTRATOR_API_TOKEN.")
    if parts.query or parts.fragment:
        raise SettingsError(f"{shown} has a query or fragment. Give the root of the server, such as {EXAMPLE}.")
    if parts.scheme == "http" and not insecure and not is_loopback(parts.hostname):
        raise SettingsError(
            f"{shown} is not https, so everybody on the way could read the token and the data. Use https, or set "
            "ORCHESTRATOR_API_INSECURE=1 where the network in between is your own."
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path.rstrip("/").removesuffix(BASE)
    return f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{path}"


def without_secrets(url: str) -> str:
    """For messages: what stands before an `@` is left out, whether or not the rest can be read."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def path_of(*segments: str) -> str:
    """The path to a thing of the interface; nothing in a name can make it another path."""
    return "/".join([BASE, *(quote(segment, safe="") for segment in segments)])


def can_be_in_a_path(name: str) -> bool:
    """Whether a server can be asked for something of that name: dots alone would be taken as steps in the path."""
    return name != "" and not any(part in (".", "..") for part in name.split("/"))
