"""Bad requests, whatever they are for: their paths, methods, media types and bodies."""

from __future__ import annotations

from typing import Any

from tests.bad_input.cases import Bad
from tests.bad_input.doors import Ask

_NEW = "/workflows/echo/instances"


def _request(what: str, code: str, *words: str, path: str = _NEW, method: str = "POST", **asked: Any) -> Bad:
    ask = Ask(method, path, **asked)
    return Bad(what=what, code=code, words=words, rest=ask, cloudflare=ask)


CASES = [
    _request("a body that is cut off", "request.malformed", "not valid JSON", "column", raw=b'{"params": '),
    _request("a body that is no UTF-8", "request.malformed", "not valid JSON", raw=b'{"params": "\xff"}'),
    _request("a body with half a character", "request.malformed", "not valid JSON", raw=b'{"params": "\\ud800"}'),
    _request("a body with a mark of byte order", "request.malformed", "not valid JSON", raw=b'\xef\xbb\xbf{"params": 1}'),
    _request("a body in UTF-16", "request.malformed", "not valid JSON", raw='{"params": 1}'.encode("utf-16")),
    _request("a body with NaN", "request.malformed", "not valid JSON", raw=b'{"params": NaN}'),
    _request("a body with a number too large", "request.malformed", "too large for a float", raw=b'{"params": 1e999}'),
    _request("a body that is nested too deeply", "request.malformed", "not valid JSON", raw=b"[" * 100_000),
    _request("a body with a comment", "request.malformed", "not valid JSON", raw=b'{"params": 1 /* one */}'),
    _request("a body of nothing but spaces", "request.malformed", "not valid JSON", raw=b"   "),
    _request("a body that is an array", "request.invalid", "JSON object", "array", raw=b"[]"),
    _request("a body that is a text", "request.invalid", "JSON object", "string", raw=b'"x"'),
    _request("a body that is a number", "request.invalid", "JSON object", "number", raw=b"7"),
    _request("a body that is true", "request.invalid", "JSON object", "boolean", raw=b"true"),
    _request("a body with an unknown field", "request.invalid", "colour", "unknown field", "params", json={"colour": 1}),
    _request("a body with an unknown field of no name", "request.invalid", "unknown field", "params", json={"": 1}),
    _request("a body of another media type", "request.unsupported_media_type", "application/json", raw=b"params=1",
             headers={"Content-Type": "application/x-www-form-urlencoded"}),
    _request("a body of no media type", "request.unsupported_media_type", "application/json", raw=b"{}",
             headers={"Content-Type": ""}),
    _request("a query on what takes none", "request.invalid", "colour", "takes no query", query={"colour": "red"}),
    _request("an address that there is not", "request.not_found", "not found", path="/flows", method="GET"),
    _request("a method that there is not", "request.method_not_allowed", "not allowed", method="DELETE"),
]  # fmt: skip
