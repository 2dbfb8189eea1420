"""Becomes one server process that can't outlive whoever started it; it must need nothing but the standard library.

PostgreSQL refuses to run as root, so a root user's server runs as somebody else. `subprocess` can switch the user by
itself, but not also ask Linux to end the server with its parent, and a `preexec_fn` is unsafe once threads run.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def command(program: str, *arguments: str, user: tuple[int, int] | None, end_signal: signal.Signals) -> list[str]:
    """The command line that runs `program` as that user (uid, gid) and sends it `end_signal` when this process dies."""
    who = "-" if user is None else "{}:{}".format(*user)
    return [sys.executable, "-IS", __file__, str(os.getpid()), str(int(end_signal)), who, program, *arguments]


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _end_with(parent_pid: int, end_signal: int) -> None:
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, end_signal)
    if os.getppid() != parent_pid:
        # The parent died before we asked to be told.
        sys.exit(1)


if __name__ == "__main__":
    _parent, _signal, _who, *_command = sys.argv[1:]
    # Nothing is imported from here on: the other user may not be able to read this Python.
    if _who != "-":
        _become(*(int(part) for part in _who.split(":")))
    # After the change of user: Linux forgets the request when credentials change.
    _end_with(int(_parent), int(_signal))
    os.execv(_command[0], _command)
