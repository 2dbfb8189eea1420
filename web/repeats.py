"""Idempotency-Key: a request that is sent again gets the answer of the first time; what it asks for is not known here."""

from __future__ import annotations

import hashlib
import logging
import re
from contextlib import ExitStack

from flask import Blueprint, current_app, g, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from orchestrator.client import Answer
from orchestrator.errors import OrchestratorError
from web.contract import contract_of
from web.permits import caller
from web.refusals import FieldProblem, InvalidRequest
from web.security import SAFE_METHODS
from web.services import client

logger = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
MAX_KEY = 255
_KEY = re.compile("[!-~]+")
NOT_STORED = frozenset({408, 429})
"""Beside the failures of the server: to be tried again, so that the first answer is not the last word."""


def answer_once(blueprint: Blueprint) -> None:
    """Every change over the routes of this blueprint may be sent with a key."""
    blueprint.before_request(_begin)
    blueprint.after_request(_end)
    blueprint.teardown_request(_clean)


def _begin() -> ResponseReturnValue | None:
    key = request.headers.get(HEADER)
    if key is None or request.method in SAFE_METHODS:
        return None
    _check(key)
    token = caller()
    asked = "\n".join((request.method, request.full_path, "")).encode() + request.get_data()
    claimed = client().answers.claim("" if token is None else token.id, key, hashlib.sha256(asked).hexdigest())
    if isinstance(claimed, Answer):
        return Response(claimed.body, claimed.status, {**claimed.headers, REPLAYED: "true"})
    g.claimed, g.along = claimed, ExitStack()
    g.along.enter_context(claimed.noted())
    return None


def _check(key: str) -> None:
    contract = contract_of(current_app.view_functions.get(request.endpoint or ""))
    if contract is not None and contract.secret:
        raise InvalidRequest([FieldProblem(HEADER, "is not taken here: the answer has a secret, which is not stored.")])
    if len(key) > MAX_KEY or not _KEY.fullmatch(key):
        raise InvalidRequest([FieldProblem(HEADER, f"must be 1 to {MAX_KEY} printable ASCII characters, no spaces.")])


def _end(response: Response) -> Response:
    claimed = g.pop("claimed", None)
    _clean()
    if claimed is None:
        return response
    try:
        if response.status_code >= 500 or response.status_code in NOT_STORED:
            claimed.let_go()
        else:
            headers = {name: value for name, value in response.headers if name != "Content-Length"}
            claimed.answer(response.status_code, headers, response.get_data(as_text=True))
    except OrchestratorError:
        # It is carried out or not, and that much is stored; whoever sends it again is told.
        logger.exception("the answer to a request with an %s could not be stored", HEADER)
    return response


def _clean(_error: BaseException | None = None) -> None:
    """The thread goes on to other requests."""
    along = g.pop("along", None)
    if along is not None:
        along.close()
