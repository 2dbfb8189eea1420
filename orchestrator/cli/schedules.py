"""`orchestrator schedules`: what starts instances by the clock, and trying an expression without a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.actions import yes_option
from orchestrator.cli.command import INSTANCE, client_command, command
from orchestrator.cli.completing import workflow_names
from orchestrator.cli.connection import app_option, connect, find_workflow, known_class, workflow_argument
from orchestrator.cli.lazy import Entry, LazyGroup
from orchestrator.cli.output import Output, note, table
from orchestrator.cli.params import read_json
from orchestrator.cli.several import confirm
from orchestrator.cli.wording import absolute, one_line, relative
from orchestrator.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from orchestrator.inspection import ScheduleView

_MODULE = "orchestrator.cli.schedules"
COMMANDS = {
    "list": Entry(f"{_MODULE}:list_schedules", "List schedules with the moments that come next."),
    "create": Entry(f"{_MODULE}:create", "Start instances at every moment of a cron expression.", "Actions"),
    "pause": Entry(f"{_MODULE}:pause", "Start nothing until it is resumed.", "Actions"),
    "resume": Entry(f"{_MODULE}:resume", "Go on with the next moment.", "Actions"),
    "run-now": Entry(f"{_MODULE}:run_now", "Start an instance now.", "Actions"),
    "delete": Entry(f"{_MODULE}:delete", "Delete a schedule; what it has started goes on.", "Actions"),
    "preview": Entry(f"{_MODULE}:preview", "Show when a cron expression comes, without a database."),
}


@click.group("schedules", cls=LazyGroup, entries=COMMANDS)
def schedules() -> None:
    """What starts instances by the clock. A schedule is named by its workflow and its id (see `list`)."""


schedule_argument = click.argument("schedule_id", metavar="ID")


@client_command("list")
@click.argument("workflow", metavar="[NAME]", required=False, shell_complete=workflow_names)
def list_schedules(ctx: click.Context, workflow: str | None) -> None:
    """List the schedules of the workflow NAME, or of all, with the moments that come next."""
    with connect(ctx) as client:
        found = client.schedules() if workflow is None else find_workflow(ctx, client, workflow).schedules()
    output = Output.of(ctx)

    def show() -> RenderableType | None:
        if not found:
            note(f"No schedules yet. Create one: orchestrator schedules create {workflow or 'NAME'} '0 7 * * MON-FRI'")
            return None
        return _drawn(found, wide=output.wide)

    output.rows([view.to_dict() for view in found], ids=[view.id for view in found], show=show)


@client_command("create")
@workflow_argument
@click.argument("cron", metavar="CRON")
@click.option("--tz", "timezone", default="UTC", show_default=True, metavar="ZONE", help='Such as "Europe/Berlin".')
@click.option("--params", metavar="JSON|@FILE|-", help="What each instance is started with.")
@app_option
def create(ctx: click.Context, workflow: str, cron: str, timezone: str, params: str | None, app: str | None) -> None:
    """Start an instance of NAME at every moment of CRON: minute, hour, day of month, month, day of week."""
    given = read_json(params, what="params")
    with connect(ctx) as client:
        made = client.workflow(known_class(ctx, app, workflow)).add_schedule(cron, timezone, given)
    _tell(ctx, made, f'⏰ Schedule {made.id} starts "{made.workflow}" at "{made.cron}" ({made.timezone})')


@client_command("pause")
@workflow_argument
@schedule_argument
def pause(ctx: click.Context, workflow: str, schedule_id: str) -> None:
    """Start nothing until the schedule is resumed."""
    with connect(ctx) as client:
        changed = find_workflow(ctx, client, workflow).pause_schedule(schedule_id)
    _tell(ctx, changed, f"⏸️  The schedule {changed.id} of {changed.workflow} was paused successfully")


@client_command("resume")
@workflow_argument
@schedule_argument
def resume(ctx: click.Context, workflow: str, schedule_id: str) -> None:
    """Go on with the schedule's next moment; those of the pause are not made up for."""
    with connect(ctx) as client:
        changed = find_workflow(ctx, client, workflow).resume_schedule(schedule_id)
    _tell(ctx, changed, f"🔄 The schedule {changed.id} of {changed.workflow} was resumed successfully")


@client_command("run-now")
@workflow_argument
@schedule_argument
@click.option("--watch", is_flag=True, help="Then stay until the instance ends and show its steps live.")
def run_now(ctx: click.Context, workflow: str, schedule_id: str, watch: bool) -> None:
    """Start an instance now, as if this were one of the schedule's moments."""
    with connect(ctx) as client:
        started = find_workflow(ctx, client, workflow).run_schedule(schedule_id)
        ctx.meta[INSTANCE] = started.id
        output = Output.of(ctx)
        if output.for_people:
            note(f'🚀 Workflow instance "{started.id}" has been queued successfully')
        if watch:
            from orchestrator.cli.progress import watch as follow

            follow(ctx, started, None)
            return
        data = {"id": started.id, "workflow": started.workflow, "status": "queued"}
        output.record(data, id=started.id, show=lambda: None)


@client_command("delete")
@workflow_argument
@schedule_argument
@yes_option
def delete(ctx: click.Context, workflow: str, schedule_id: str, yes: bool) -> None:
    """Delete a schedule that was created from outside; what it has started goes on."""
    with connect(ctx) as client:
        handle = find_workflow(ctx, client, workflow)
        confirm(ctx, f"Delete the schedule {schedule_id} of {workflow}?", yes)
        handle.remove_schedule(schedule_id)
    output = Output.of(ctx)
    data = {"id": schedule_id, "workflow": workflow, "deleted": True}
    output.record(data, id=schedule_id, show=lambda: None)
    if output.for_people:
        note(f"🗑️  Deleted the schedule {schedule_id} of {workflow}")


@command("preview")
@click.argument("cron", metavar="CRON")
@click.option("--tz", "timezone", default="UTC", show_default=True, metavar="ZONE", help='Such as "Europe/Berlin".')
@click.option("-n", "count", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many moments.")
def preview(ctx: click.Context, cron: str, timezone: str, count: int) -> None:
    """Show the next moments of CRON, in its own zone and in this machine's; nothing is started."""
    from orchestrator.cron import check_cron, check_timezone, next_ticks

    spaced, zone = check_cron(cron), check_timezone(timezone)
    now_ms = SystemClock().now_ms()
    found = next_ticks(spaced, zone, now_ms, count)
    rows = [(_in_zone(at, zone), absolute(at), relative(at, now_ms)) for at in found]
    data = [{"at": at, "local": _in_zone(at, zone)} for at in found]
    Output.of(ctx).rows(data, ids=[str(at) for at in found], show=lambda: table((zone, "Here", ""), rows))


def _tell(ctx: click.Context, view: ScheduleView, sentence: str) -> None:
    output = Output.of(ctx)
    output.record(view.to_dict(), id=view.id, show=lambda: None)
    if output.for_people:
        note(sentence)
        if view.next_at is not None:
            note(f"   Next: {_in_zone(view.next_at, view.timezone)}, {relative(view.next_at, SystemClock().now_ms())}")


def _drawn(found: Sequence[ScheduleView], *, wide: bool) -> RenderableType:
    now_ms = SystemClock().now_ms()
    columns = ["ID", "Workflow", "Cron", "Zone", "Next", "Last"]
    columns += ["Source", "Params", "Then"] if wide else []
    return table(columns, [_row(view, now_ms, wide=wide) for view in found])


def _row(view: ScheduleView, now_ms: int, *, wide: bool) -> list[str]:
    coming = "⏸️ paused" if view.paused else relative(view.next_at, now_ms)
    row = [view.id, view.workflow, view.cron, view.timezone, coming, relative(view.last_at, now_ms)]
    if wide:
        then = ", ".join(_in_zone(at, view.timezone) for at in view.next_times[1:3])
        row += [view.source, one_line(_json(view.params), 40), then or "—"]
    return row


def _json(value: Any) -> str:
    from orchestrator.cli.output import to_json

    return to_json(value)


def _in_zone(at_ms: int, zone: str) -> str:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    return datetime.fromtimestamp(at_ms // 1000, ZoneInfo(zone)).isoformat(sep=" ", timespec="minutes")
