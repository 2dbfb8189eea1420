"""Bad changes: of an instance's status, of schedules, of a workflow's settings, of tokens."""

from __future__ import annotations

from typing import Any

from tests.bad_input.cases import Bad
from tests.bad_input.doors import Ask, Run, run

_STATUS = "/workflows/orders/instances/waits/status"
_SCHEDULES = "/workflows/orders/schedules"
_CODE = {"class_name": "Orders", "script_name": "tests.remote.workflows"}
_HUGE = 2**70


def _body(what: str, body: Any, *words: str, path: str = _STATUS, method: str = "PATCH") -> Bad:
    return Bad(
        what=what, code="request.invalid", words=words, rest=Ask(method, path, json=body),
        cloudflare=Ask(method, path, json=body),
    )  # fmt: skip


def _from(
    what: str,
    given: Any,
    *words: str,
    code: str = "usage",
    http: str | None = None,
    cli: Run | None = None,
    command: str | None = None,
) -> Bad:
    return Bad(
        what=f"a restart from {what}",
        code=code,
        words=words,
        python=lambda client: client.workflow("orders").get("waits").restart(from_=given),
        rest=Ask("PATCH", _STATUS, json={"status": "restart", "from": given}),
        cloudflare=Ask("PATCH", _STATUS, json={"status": "restart", "from": given}),
        cli=cli,
        http=http,
        command=command,
    )


def _restart(*options: str) -> Run:
    return run("instances", "restart", "orders", "waits", "--yes", *options)


def _schedule(what: str, *words: str, cron: Any = "0 7 * * *", timezone: Any = "UTC", cloudflare: bool = True,
              http: str | None = None, cli: bool = True, code: str = "schedule.invalid") -> Bad:  # fmt: skip
    return Bad(
        what=f"a schedule {what}",
        code=code,
        words=words,
        python=lambda client: client.workflow("orders").add_schedule(cron, timezone),
        rest=Ask("POST", _SCHEDULES, json={"cron": cron, "timezone": timezone}),
        cloudflare=Ask("PUT", "/workflows/orders", json={**_CODE, "schedules": [{"cron": cron}]})
        if cloudflare
        else None,
        cli=run("schedules", "create", "orders", f"--tz={timezone}", "--", cron) if cli else None,
        http=http,
    )


def _no_schedule(id: str) -> Bad:
    return Bad(
        what=f"the schedule {id[:20]!r}",
        code="schedule.not_found",
        words=(f"Workflow 'orders' has no schedule {id!r}",),
        python=lambda client: client.workflow("orders").pause_schedule(id),
        rest=Ask("PATCH", f"{_SCHEDULES}/{id}/status", json={"status": "pause"}) if id.isascii() else None,
        cli=run("schedules", "pause", "orders", "--", id),
    )


def _settings(what: str, given: dict[str, Any], *words: str, code: str = "workflow.invalid_settings",
              http: str | None = None) -> Bad:  # fmt: skip
    return Bad(
        what=f"settings with {what}",
        code=code,
        words=words,
        python=lambda client: client.workflow("orders").configure(**given),
        remote=False,
        cloudflare=Ask("PUT", "/workflows/orders", json=_CODE | given),
        http=http,
    )


def _token(what: str, given: dict[str, Any], *words: str, code: str = "usage", http: str | None = None,
           cli: Run | None = None) -> Bad:  # fmt: skip
    return Bad(
        what=f"a token {what}",
        code=code,
        words=words,
        python=lambda client: client.access.create_token(**given),
        remote=False,
        rest=Ask("POST", "/tokens", json=given),
        cli=cli,
        http=http,
    )


CASES = [
    _body("an action that there is not", {"status": "stop"}, "status", "'pause'", "'restart'", "stop"),
    _body("no action", {}, "status", "required"),
    _body("a change that is no object", ["pause"], "JSON object", "array"),
    _body("a change with a field that there is not", {"status": "pause", "colour": 1}, "colour", "unknown field", "rollback"),
    _body("a change with a field that is misspelt", {"status": "terminate", "rolback": True}, "Did you mean 'rollback'?"),
    _body("a rollback that is not said with yes or no", {"status": "terminate", "rollback": "yes"}, "rollback", "boolean"),
    _body("a pause with a rollback", {"status": "pause", "rollback": True}, "`rollback` is for terminate only"),
    _body("a pause from a step", {"status": "pause", "from": {"name": "x"}}, "`from` is for a restart only"),
    _from("a step that there is not", {"name": "pack"}, 'Step "pack" not found in execution history', "check stock-1",
          code="instance.cannot_restart", cli=_restart("--from-step-name=pack")),
    _from("a second step of a name", {"name": "check stock", "count": 2}, "not found in execution history", "check stock-1",
          code="instance.cannot_restart", cli=_restart("--from-step-name=check stock", "--from-step-count=2")),
    _from("a step of another type", {"name": "check stock", "type": "sleep"}, "not found in execution history",
          code="instance.cannot_restart", cli=_restart("--from-step-name=check stock", "--from-step-type=sleep")),
    _from("a step beyond all numbers", {"name": "check stock", "count": _HUGE}, str(_HUGE),
          code="instance.cannot_restart", cli=_restart("--from-step-name=check stock", f"--from-step-count={_HUGE}")),
    _from("the zeroth step", {"name": "check stock", "count": 0}, "0", "1",
          cli=_restart("--from-step-name=check stock", "--from-step-count=0")),
    _from("half a step", {"name": "check stock", "count": 1.5}, "1.5",
          cli=_restart("--from-step-name=check stock", "--from-step-count=1.5")),
    _from("a type that there is not", {"name": "check stock", "type": "bake"}, "bake", "do", "sleep", "waitForEvent",
          cli=_restart("--from-step-name=check stock", "--from-step-type=bake")),
    _from("no name", {"count": 2}, "name", cli=_restart("--from-step-count=2"), command="usage"),
    _from("an empty name", {"name": ""}, "''", "name of a step", cli=_restart("--from-step-name=")),
    _from("a name that is a number", {"name": 7}, "7", "name of a step"),
    _from("a name with a NUL", {"name": "a\0b"}, "'a\\x00b'", "name of a step"),
    _from("a key that there is not", {"name": "check stock", "colour": 1}, "colour", "name, count and type"),
    _from("what is no mapping", "check stock", "check stock", http="request.invalid"),
    _schedule("that is no cron expression", "'soon'", "five fields", "30 7 * * MON-FRI", cron="soon"),
    _schedule("with six fields", "6 field(s)", "five fields", cron="0 0 7 * * *"),
    _schedule("that is empty", "0 field(s)", "five fields", cron=""),
    _schedule("that never comes", "Bad day-of-month", "five fields", cron="0 0 30 2 *"),
    _schedule("in the 25th hour", "'0 25 * * *'", "can't be read", cron="0 25 * * *"),
    _schedule("that is too long", "256 characters", cron="0," * 200 + "0 7 * * *"),
    _schedule("that is a number", "7", cron=7, http="request.invalid", cli=False),
    _schedule("with other digits", "can't be read", cron="٣ 7 * * *"),
    _schedule("in a zone that there is not", "'Europe/Atlantis'", "Europe/Berlin", timezone="Europe/Atlantis",
              cloudflare=False),
    _schedule("in a zone that is a file", "'../../etc/passwd'", "Europe/Berlin", timezone="../../etc/passwd",
              cloudflare=False),
    _schedule("in no zone", "''", "Europe/Berlin", timezone="", cloudflare=False),
    _schedule("that is there already", "has the schedule '30 7 * * *' (UTC) already", "remove that one first",
              cron="30 7 * * *", cloudflare=False, code="schedule.already_exists"),
    Bad(what="removing a schedule that the class declares", code="schedule.declared",
        words=("declared by the class of workflow 'daily'", "pause it here"),
        python=lambda client: client.workflow("daily").remove_schedule("1"),
        rest=Ask("DELETE", "/workflows/daily/schedules/1"), cli=run("schedules", "delete", "daily", "1", "--yes")),
    Bad(what="params of a schedule that do not fit", code="request.invalid", words=("colour", "unknown field", "timezone"),
        rest=Ask("POST", _SCHEDULES, json={"cron": "0 7 * * *", "colour": 1})),
    *map(_no_schedule, ("99", "x", "-1", "0", str(_HUGE), "٣", "1.0")),
    _settings("no steps at all", {"limits": {"steps": 0}}, "steps 0", "1 to 25,000"),
    _settings("a part of a step", {"limits": {"steps": 1.5}}, "steps 1.5", "1 to 25,000"),
    _settings("less than no steps", {"limits": {"steps": -1}}, "steps -1", "1 to 25,000"),
    _settings("too many steps", {"limits": {"steps": 25_001}}, "steps 25001", "1 to 25,000"),
    _settings("a limit that there is not", {"limits": {"cpu_ms": 1}}, "cpu_ms", "'steps'"),
    _settings("limits that are a list", {"limits": [3]}, "[3]", http="request.invalid"),
    _settings("room for none", {"concurrency": {"limit": 0}}, "limit 0", "1 to 50,000"),
    _settings("a retention that there is not", {"default_retention": {"success": "1 day"}}, "success",
              "success_retention and error_retention", code="retention.invalid"),
    _settings("a retention of nothing", {"default_retention": {"error_retention": 0}}, "longer than nothing",
              code="retention.invalid"),
    _settings("a setting that there is not", {"colour": "red"}, "colour", "limits", http="request.invalid"),
    Bad(what="settings for another class", code="request.invalid", words=("class_name", "'Orders'", "registered"),
        cloudflare=Ask("PUT", "/workflows/orders", json=_CODE | {"class_name": "Others"})),
    _token("without a name", {"name": " "}, "1 to 100 characters", "' '", cli=run("tokens", "create", " ")),
    _token("with a NUL in its name", {"name": "a\0b"}, "'a\\x00b'"),
    _token("of a role that there is not", {"name": "ci", "role": "root"}, "root", "read", "operate", "admin",
           http="request.invalid"),
    _token("for no workflows", {"name": "ci", "workflows": []}, "[]", "billing-*"),
    _token("that ends at no time", {"name": "ci", "expires": "soon"}, "'soon'", "3 days", code="invalid_duration"),
    _token("that is over before it begins", {"name": "ci", "expires": -1}, "-1", "not negative", code="invalid_duration"),
    Bad(what="revoking a token whose id has a NUL", code="token.not_found", words=("'a\\x00b'", "tokens list"),
        python=lambda client: client.access.revoke_token("a\0b"), remote=False, rest=Ask("DELETE", "/tokens/a%00b")),
    Bad(what="changes before none", code="usage", words=("before", "'x'"),
        python=lambda client: client.access.audit(before="x"), remote=False),
    Bad(what="no changes at all", code="usage", words=("limit", "0"),
        python=lambda client: client.access.audit(limit=0), remote=False),
    Bad(what="messages before none", code="usage", words=("before", str(_HUGE)),
        python=lambda client: client.rejected_messages(before=_HUGE), remote=False),
    Bad(what="revoking a token that there is not", code="token.not_found", words=("'nope'", "tokens list"),
        python=lambda client: client.access.revoke_token("nope"), remote=False, rest=Ask("DELETE", "/tokens/nope"),
        cli=None),
]  # fmt: skip
