"""Whether an address can be listened on, asked before anything is started that would have to be stopped again."""

from __future__ import annotations

import socket
from importlib import import_module
from typing import Any

_OURS = ("127.0.0.1", "::1", "localhost")
"""This machine alone; of any other address the web room decides."""


def check_address(host: str, port: int) -> None:
    """Raises what the web room would raise once everything runs: RemoteBindRefused, AddressUnavailable."""
    if host in _OURS and (port == 0 or _is_free(host, port)):
        return
    web: Any = import_module("web")  # only now: it is large, and this process may only watch files
    web.check_address(host, port)


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen()
    except OSError:
        return False
    return True
