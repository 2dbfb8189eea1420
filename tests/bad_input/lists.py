"""Bad questions: pages, statuses, times, steps, runs, events and numbers that there are not."""

from __future__ import annotations

from typing import Any

from tests.bad_input.cases import Bad
from tests.bad_input.doors import Ask, Run, run

_LIST = "/workflows/orders/instances"
_ONE = "/workflows/orders/instances/waits"
_HUGE = 2**70
_Answers = dict[str, Any]


def _listed(what: str, given: _Answers, *words: str, code: str = "usage", http: str | None = "request.invalid",
            rest: _Answers | None = None, cloudflare: _Answers | None = None, cli: Run | None = None,
            command: str | None = None) -> Bad:  # fmt: skip
    return Bad(
        what=f"a list {what}",
        code=code,
        words=words,
        python=lambda client: client.workflow("orders").list(**given),
        rest=None if rest is None else Ask("GET", _LIST, query=rest),
        cloudflare=None if cloudflare is None else Ask("GET", _LIST, query=cloudflare),
        cli=cli,
        http=http,
        command=command,
    )


def _query(
    what: str, query: _Answers, *words: str, cloudflare: bool = False, rest: bool = True, path: str = _LIST
) -> Bad:
    return Bad(
        what=what,
        code="request.invalid",
        words=words,
        rest=Ask("GET", path, query=query) if rest else None,
        cloudflare=Ask("GET", path, query=query) if cloudflare else None,
    )


def _limit(limit: Any, *, cli: bool = True) -> Bad:
    given = {"limit": str(limit)}
    return _listed(
        f"of {limit!r}", {"limit": limit}, str(limit), rest=given,
        cloudflare={"per_page": str(limit)}, cli=run("instances", "list", "orders", f"--limit={limit}") if cli else None,
    )  # fmt: skip


def _cursor(cursor: Any) -> Bad:
    return _listed(
        f"after {cursor!r}", {"before": cursor}, str(cursor), rest={"cursor": str(cursor)},
        cloudflare={"cursor": str(cursor)}, cli=run("instances", "list", "orders", f"--cursor={cursor}"),
    )  # fmt: skip


def _since(text: str) -> Bad:
    return Bad(
        what=f"a list from {text!r}",
        code="request.invalid",
        words=(text,),
        rest=Ask("GET", _LIST, query={"date_start": text}),
        cloudflare=Ask("GET", _LIST, query={"date_start": text}),
        cli=run("instances", "list", "orders", f"--date-start={text}"),
        command="usage",
    )


def _moment(moment: Any) -> Bad:
    return Bad(
        what=f"a list until {moment!r}",
        code="usage",
        words=(f"until must be a time in whole milliseconds since 1970, not {moment!r}",),
        python=lambda client: client.workflow("orders").list(until=moment),
    )


def _step(what: str, given: _Answers, *words: str, code: str = "usage", rest: _Answers | None = None,
          http: str | None = None, cli: Run | None = None, command: str | None = None,
          cloudflare: _Answers | None = None) -> Bad:  # fmt: skip
    return Bad(
        what=f"the output of {what}",
        code=code,
        words=words,
        python=lambda client: client.workflow("orders").get("waits").step(**given),
        rest=None if rest is None else Ask("GET", f"{_ONE}/step", query=rest),
        cloudflare=None if cloudflare is None else Ask("GET", f"{_ONE}/step", query=cloudflare),
        cli=cli,
        http=http,
        command=command,
    )


def _run(
    number: Any, *, code: str = "instance.run_not_found", http: str | None = None, command: str | None = None
) -> Bad:
    return Bad(
        what=f"the run {number!r}",
        code=code,
        words=(str(number), *(("its runs are 1 to 1",) if http is None else ())),
        python=lambda client: client.workflow("orders").get("waits").describe(run=number),
        rest=Ask("GET", _ONE, query={"run": str(number)}),
        cli=run("instances", "describe", "orders", "waits", f"--run={number}"),
        http=http,
        command=command,
    )


def _subscribed(what: str, given: _Answers, *words: str, query: _Answers, http: str | None = None,
                cli: Run | None = None, command: str | None = None) -> Bad:  # fmt: skip
    return Bad(
        what=f"following {what}",
        code="subscription.invalid",
        words=words,
        python=lambda client: next(client.workflow("orders").get("waits").subscribe(**given)),
        rest=Ask("GET", f"{_ONE}/subscribe", query=query),
        cloudflare=Ask("GET", f"{_ONE}/subscribe", query=query),
        cli=cli,
        http=http,
        command=command,
    )


def _counted(what: str, given: _Answers, *words: str, query: _Answers | None = None, http: str | None = None,
             code: str = "aggregates.invalid", cli: Run | None = None, command: str | None = None) -> Bad:  # fmt: skip
    return Bad(
        what=f"numbers {what}",
        code=code,
        words=words,
        python=lambda client: client.workflow("orders").aggregates(**given),
        rest=None if query is None else Ask("GET", "/workflows/orders/aggregates", query=query),
        cli=cli,
        http=http,
        command=command,
    )


_STEP_TYPES = ("do", "sleep", "waitForEvent")
_NO_EVENT = "there is no event type 'step_begun'"
CASES = [
    _limit(0), _limit(-1), _limit(10_001), _limit("x"), _limit(_HUGE), _limit(1.5), _limit(True, cli=False),
    _cursor(-1), _cursor("x"), _cursor(_HUGE), _cursor(1.5),
    *map(_since, ("yesterday", "99999-01-01", "2026-13-01", "1e3", "2026-11-22T25:00")),
    *map(_moment, (_HUGE, -_HUGE, 1.5, True, "2026-11-22")),
    _listed("of a status that there is not", {"status": ["done"]}, "'done'", "queued", "complete", rest={"status": "done"},
            cloudflare={"status": "done"}, cli=run("instances", "list", "orders", "--status", "done")),
    _listed("of several statuses, one of which is none", {"status": ["queued", "done"]}, "'done'", "queued", "complete",
            rest={"status": "queued,done"},
            cli=run("instances", "list", "orders", "--status", "queued", "--status", "done")),
    _query("a query of an unknown field", {"statuss": "queued"}, "statuss", "unknown field", "Did you mean 'status'?",
           cloudflare=True),
    _query("a direction that there is not", {"direction": "up"}, "direction", "'asc' or 'desc'", "up", cloudflare=True),
    _query("a limit given twice", "limit=1&limit=2", "limit", "integer"),
    _query("a page that there is not", {"page": "0"}, "page", "0", "1", rest=False, cloudflare=True),
    _query("a page and a cursor", {"page": "1", "cursor": "1"}, "cursor", "page", rest=False, cloudflare=True),
    _query("a query where none is taken", {"colour": "red"}, "colour", "takes no query", cloudflare=True,
           path="/workflows/orders"),
    _query("an order that there is not", {"order": "up"}, "order", "'asc' or 'desc'", "up", rest=False, cloudflare=True,
           path=_ONE),
    _query("a time to wait that is negative", {"timeout": "-1"}, "timeout", "-1", "0", path=f"{_ONE}/wait"),
    _query("a time to wait that is too long", {"timeout": "31"}, "timeout", "31", "30", path=f"{_ONE}/wait"),
    _query("a time to wait that is no number", {"timeout": "nan"}, "timeout", "nan", path=f"{_ONE}/wait"),
    _step("a step that there is not", {"name": "pack"}, "has not come to step pack-1 (do)", code="step.not_found",
          rest={"name": "pack-1"}, cloudflare={"name": "pack-1"}, cli=run("instances", "step", "orders", "waits", "pack")),
    _step("a second step of a name", {"name": "check stock", "count": 2}, "check stock-2", code="step.not_found",
          rest={"name": "check stock-2"}, cloudflare={"name": "check stock-2"},
          cli=run("instances", "step", "orders", "waits", "check stock", "--count=2")),
    _step("an attempt that there was not", {"name": "check stock", "attempt": 7}, "an attempt 7 of", code="step.not_found",
          rest={"name": "check stock-1", "attempt": "7"}, cloudflare={"name": "check stock-1", "attempt": "7"},
          cli=run("instances", "step", "orders", "waits", "check stock", "--attempt=7")),
    _step("an attempt that is no number", {"name": "check stock", "attempt": "x"}, "x",
          rest={"name": "check stock-1", "attempt": "x"}, cloudflare={"name": "check stock-1", "attempt": "x"},
          http="request.invalid", cli=run("instances", "step", "orders", "waits", "check stock", "--attempt=x")),
    _step("the attempt before the first", {"name": "check stock", "attempt": 0}, "0",
          rest={"name": "check stock-1", "attempt": "0"}, cloudflare={"name": "check stock-1", "attempt": "0"},
          http="request.invalid", cli=run("instances", "step", "orders", "waits", "check stock", "--attempt=0")),
    _step("an attempt beyond all numbers", {"name": "check stock", "attempt": _HUGE}, str(_HUGE),
          rest={"name": "check stock-1", "attempt": str(_HUGE)},
          cli=run("instances", "step", "orders", "waits", "check stock", f"--attempt={_HUGE}")),
    _step("the zeroth step", {"name": "check stock", "count": 0}, "0", "1",
          cli=run("instances", "step", "orders", "waits", "check stock", "--count=0")),
    _step("a step without a name", {"name": ""}, "''", "name of a step",
          cli=run("instances", "step", "orders", "waits", "")),
    _step("a step of another type", {"name": "check stock", "type": "bake"}, "bake", *_STEP_TYPES,
          rest={"name": "check stock-1", "type": "bake"}, http="request.invalid",
          cli=run("instances", "step", "orders", "waits", "check stock", "--type=bake")),
    Bad(what="the output of a step by a name without a number", code="step.not_found",
        words=("'check stock'", "ends in a number", "`charge-1`"),
        rest=Ask("GET", f"{_ONE}/step", query={"name": "check stock"}),
        cloudflare=Ask("GET", f"{_ONE}/step", query={"name": "check stock"})),
    Bad(what="the output of no step", code="request.invalid", words=("name", "required"),
        rest=Ask("GET", f"{_ONE}/step"), cloudflare=Ask("GET", f"{_ONE}/step")),
    _run(2), _run(99), _run(0, http="request.invalid", command="usage"), _run(-1, http="request.invalid", command="usage"),
    _run("x", code="usage", http="request.invalid"), _run(2**60),
    _run(_HUGE, http="request.invalid"),
    _subscribed("from before the first event", {"cursor": -1}, "-1", "cursor", "0", query={"cursor": "-1"},
                cli=run("instances", "subscribe", "orders", "waits", "--cursor=-1"), command="usage"),
    _subscribed("from beyond all numbers", {"cursor": _HUGE}, str(_HUGE), "cursor", query={"cursor": str(_HUGE)},
                cli=run("instances", "subscribe", "orders", "waits", f"--cursor={_HUGE}")),
    _subscribed("from half an event", {"cursor": 1.5}, "1.5", "cursor", query={"cursor": "1.5"}, http="request.invalid",
                cli=run("instances", "subscribe", "orders", "waits", "--cursor=1.5"), command="usage"),
    _subscribed("from no event", {"cursor": "x"}, "'x'", "cursor", query={"cursor": "x"}, http="request.invalid",
                cli=run("instances", "subscribe", "orders", "waits", "--cursor=x"), command="usage"),
    _subscribed("events that there are not", {"filter": ["step_begun"]}, _NO_EVENT, "step_started", "workflow_completed",
                query={"filter": "step_begun"},
                cli=run("instances", "subscribe", "orders", "waits", "--filter", "step_begun")),
    Bad(what="following with an option that there is not", code="request.invalid", words=("from", "unknown field", "cursor"),
        rest=Ask("GET", f"{_ONE}/subscribe", query={"from": "1"}),
        cloudflare=Ask("GET", f"{_ONE}/subscribe", query={"from": "1"})),
    Bad(what="following on from an event that is none", code="subscription.invalid", words=("'x'", "cursor"),
        rest=Ask("GET", f"{_ONE}/subscribe", headers={"Last-Event-ID": "x"}),
        cloudflare=Ask("GET", f"{_ONE}/subscribe", headers={"Last-Event-ID": "x"})),
    Bad(what="following an instance that there is not", code="instance.not_found", words=("'nope'",),
        python=lambda client: client.workflow("orders").get("nope").subscribe(),
        rest=Ask("GET", f"{_LIST}/nope/subscribe"), cloudflare=Ask("GET", f"{_LIST}/nope/subscribe"),
        cli=run("instances", "subscribe", "orders", "nope")),
    _counted("of a group that there is not", {"group_by": ["colour"]}, "colour", "hour", "workflow", "step",
             query={"group_by": "colour"}, cli=run("stats", "orders", "--by", "colour"), command="usage"),
    _counted("by hour and day", {"group_by": ["hour", "day"]}, "hour", "day", "not both", query={"group_by": "hour,day"},
             cli=run("stats", "orders", "--by", "hour", "--by", "day")),
    _counted("by one group twice", {"group_by": ["hour", "hour"]}, "hour", "once", query={"group_by": "hour,hour"},
             cli=run("stats", "orders", "--by", "hour", "--by", "hour")),
    _counted("of an end before its start", {"since": 1_767_312_000_000, "until": 1_767_225_600_000}, "since", "until",
             query={"since": "2026-01-02", "until": "2026-01-01"},
             cli=run("stats", "orders", "--since", "2026-01-02", "--until", "2026-01-01"), command="usage"),
    _counted("since no moment", {"since": "soon"}, "soon", code="usage", query={"since": "soon"}, http="request.invalid",
             cli=run("stats", "orders", "--since", "soon"), command="usage"),
]  # fmt: skip
