"""From where the server may be reached, and the headers that bind browsers; who may do what is not known here."""

from __future__ import annotations

import ipaddress
import secrets
from urllib.parse import urlsplit

from flask import Flask, g, request
from werkzeug.wrappers import Response

from web.refusals import CrossSiteRefused, RemoteBindRefused, RemoteRefused
from web.services import services

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # `no-referrer` would make browsers send `Origin: null` with our own forms, and the check below needs the origin.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip")


def protect(app: Flask) -> None:
    app.before_request(refuse_remote)
    app.before_request(refuse_cross_site)
    app.after_request(add_headers)


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine and nothing else."""
    name = host.strip("[]").partition("%")[0]
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def check_bind(host: str, *, allow_remote: bool) -> None:
    """Raises RemoteBindRefused for an address that other machines can reach, unless that was asked for."""
    if not allow_remote and not is_loopback(host):
        raise RemoteBindRefused(
            f"Refused to listen on {host!r}: other machines could reach it, and no tokens are asked for, so whoever "
            "reaches it may start, change and delete everything. Use --host 127.0.0.1, or ORCHESTRATOR_AUTH=tokens, or, "
            "if something in front of it checks who calls, ORCHESTRATOR_ALLOW_REMOTE=1."
        )


def refuse_remote() -> None:
    """Holds for every way of starting the server, and against names of other sites that resolve to this machine."""
    if services().settings.open_to_others:
        return
    through_proxy = any(header in request.headers for header in _FORWARDED)
    # No address: a socket file, which only this machine has.
    local_peer = not request.remote_addr or is_loopback(request.remote_addr)
    if through_proxy or not local_peer or not is_loopback(_hostname(request.host)):
        raise RemoteRefused


def refuse_cross_site() -> None:
    """Browsers say where a request comes from; programs that are no browsers say nothing and are let through."""
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise CrossSiteRefused
        return
    origin = request.headers.get("Origin")
    if origin is not None and origin.lower().partition("://")[2] != request.host.lower():
        raise CrossSiteRefused


def add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("X-Request-Id", request_id())
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def request_id() -> str:
    """One id for an answer and the line in the log that explains it."""
    if "request_id" not in g:
        g.request_id = secrets.token_hex(8)
    return str(g.request_id)


def _hostname(host: str) -> str:
    return urlsplit(f"//{host}").hostname or ""
