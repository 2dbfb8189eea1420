"""The two servers: werkzeug's for development, with a handle to stop it, and gunicorn's for production; no routes."""

from __future__ import annotations

import importlib
import socket
import threading
from collections.abc import Callable
from typing import Any

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from web.refusals import AddressUnavailable, ServerNotInstalled
from web.security import check_bind
from web.services import Services
from web.settings import WebSettings

AppSource = Flask | Callable[[], Flask]
"""An app, or what makes it: in production it is made in the process that serves, after gunicorn's fork."""

_BACKLOG = 128
_STOP_POLL_S = 0.1


class _QuietHandler(WSGIRequestHandler):
    # Kept-alive connections each hold a thread; an idle one gives it back.
    timeout = 30

    def version_string(self) -> str:
        return "orchestrator"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return


class Server:
    """A development server that listens from the start; `stop` may be called from any thread, more than once."""

    def __init__(self, app: Flask, host: str, port: int) -> None:
        check_bind(host, allow_remote=_settings(app).open_to_others)
        listener = _listen(host, port)
        try:
            fd = listener.fileno()
            self._http = make_server(host, port, app, threaded=True, request_handler=_QuietHandler, fd=fd)
        finally:
            listener.close()  # make_server has its own duplicate
        self.host, self.port = host, self._http.port
        self._running = False
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def start(self) -> Server:
        """Serve in a thread of its own; a server that serves already is left as it is."""
        if self._running:
            return self
        self._running = True
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)
        self._thread.start()
        return self

    def run(self) -> None:
        """Serve in this thread until `stop` or Ctrl-C."""
        self._running = True
        self._serve()

    def stop(self, timeout_s: float = 5) -> None:
        if self._running:
            self._http.shutdown()
        else:
            self._http.server_close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _serve(self) -> None:
        self._http.serve_forever(poll_interval=_STOP_POLL_S)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(app: Flask, host: str, port: int) -> Server:
    """Serve `app` in a thread of its own and return the handle; port 0 takes a free one."""
    return Server(app, host, port).start()


def check_address(host: str, port: int) -> None:
    """Before anything is started that would have to be stopped again. Raises RemoteBindRefused, AddressUnavailable."""
    check_bind(host, allow_remote=WebSettings.load().allow_remote)
    if port:
        _listen(host, port).close()


def serve(app: AppSource, host: str, port: int, *, production: bool = False) -> int:
    """Serve until Ctrl-C or a signal to stop, and return the exit code."""
    if production:
        return _serve_gunicorn(app, host, port)
    Server(app if isinstance(app, Flask) else app(), host, port).run()
    return 0


def _serve_gunicorn(app: AppSource, host: str, port: int) -> int:
    try:
        base: Any = importlib.import_module("gunicorn.app.base")
    except ImportError:
        raise ServerNotInstalled from None
    settings = _settings(app)
    check_bind(host, allow_remote=settings.open_to_others)
    _listen(host, port).close()  # gunicorn would retry for seconds before it says what is wrong

    class Gunicorn(base.BaseApplication):  # type: ignore[misc]  # gunicorn is optional, so its classes have no type here
        def load_config(self) -> None:
            for name, value in _gunicorn_options(host, port, settings).items():
                if name in self.cfg.settings:  # older versions lack some
                    self.cfg.set(name, value)

        def load(self) -> Flask:
            return app if isinstance(app, Flask) else app()

    try:
        Gunicorn().run()
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else 0
    return 0


def _gunicorn_options(host: str, port: int, settings: WebSettings) -> dict[str, Any]:
    return {
        "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "proc_name": "orchestrator web",
        # One process of threads: requests wait for the database, not for the processor.
        "worker_class": "gthread",
        "workers": 1,
        "threads": settings.web_threads,
        "graceful_timeout": 15,
        # It would write a socket into the home directory, which containers mount read-only.
        "control_socket_disable": True,
    }


def _settings(app: AppSource) -> WebSettings:
    installed = app.extensions.get("orchestrator") if isinstance(app, Flask) else None
    return installed.settings if isinstance(installed, Services) else WebSettings.load().for_deployment()


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. werkzeug would print its own words and end the process where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise AddressUnavailable(
            f"Can't listen on {host} port {port}: {error.strerror or error}. Stop the program that uses the port, or "
            "choose another one with --port (or ORCHESTRATOR_PORT)."
        ) from None
    return listener
