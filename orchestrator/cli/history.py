"""`orchestrator instances runs` and `subscribe`: what an instance has been through, and what happens to it now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from orchestrator.cli.command import client_command
from orchestrator.cli.completing import instance_ids
from orchestrator.cli.connection import connect, find_instance, workflow_argument
from orchestrator.cli.outcome import goes_on_without_us
from orchestrator.cli.output import Output, table, to_json, write
from orchestrator.cli.wording import STATUS_STYLE, error_words, one_line, printable, status_words, took, when
from orchestrator.clock import SystemClock
from orchestrator.durations import to_ms

if TYPE_CHECKING:
    from rich.console import RenderableType

    from orchestrator.client import InstanceEvent
    from orchestrator.inspection import RunView

_SHOWN = 200
newest_argument = click.argument("instance_id", metavar="[ID]", default="latest", shell_complete=instance_ids)


@client_command("runs")
@workflow_argument
@newest_argument
def runs(ctx: click.Context, workflow: str, instance_id: str) -> None:
    """List the runs of an instance, the first one first: a restart ends one and begins the next.

    `describe --run N` shows the steps of one.
    """
    with connect(ctx) as client:
        found = find_instance(ctx, client, instance_id).runs()
    now_ms = SystemClock().now_ms()

    def show() -> RenderableType:
        return table(
            ("Run", "Status", "Began from", "Started", "Took", "Error"), [_row(view, now_ms) for view in found]
        )

    Output.of(ctx).rows([view.to_dict() for view in found], ids=[str(view.run) for view in found], show=show)


@client_command("subscribe")
@workflow_argument
@newest_argument
@click.option("--cursor", type=click.IntRange(0), metavar="N", help="Only what came after this event.")
@click.option("--filter", "types", multiple=True, metavar="TYPE", help="Only events of this type; may be repeated.")
@click.option("--timeout", metavar="DURATION", help='Stay no longer, e.g. "30s" or "5 minutes"; the instance goes on.')
def subscribe(
    ctx: click.Context,
    workflow: str,
    instance_id: str,
    cursor: int | None,
    types: tuple[str, ...],
    timeout: str | None,
) -> None:
    """Write what has happened to an instance, then what happens, a line for each event, until it ends.

    With -o json or jsonl each line is an object with event_id, timestamp, type and data; -o id writes event ids.
    """
    timeout_s = None if timeout is None else to_ms(timeout, what="--timeout") / 1000
    wanted = [name for group in types for name in group.split(",") if name]
    output = Output.of(ctx)
    with connect(ctx) as client:
        instance = find_instance(ctx, client, instance_id)
        with goes_on_without_us(instance):
            for event in instance.subscribe(cursor=cursor, filter=wanted or None, timeout=timeout_s):
                write(_line(event, output))


def _line(event: InstanceEvent, output: Output) -> str:
    if not output.for_people:
        return to_json(event.to_dict()) if output.format in ("json", "jsonl") else str(event.event_id)
    at = datetime.fromtimestamp(event.timestamp / 1000, UTC).astimezone()
    rest = {name: value for name, value in event.data.items() if name not in ("step_name", "attempt")}
    said = [f"{event.event_id:>5}", f"{at:%H:%M:%S}.{event.timestamp % 1000:03d}", f"{event.type:<22}"]
    if name := event.data.get("step_name"):
        said.append(printable(str(name)))
    if attempt := event.data.get("attempt"):
        said.append(f"attempt {attempt}")
    if rest:
        said.append(one_line(to_json(rest), 0 if output.wide else _SHOWN))
    return "  ".join(said).rstrip()


def _row(view: RunView, now_ms: int) -> list[str | tuple[str, str]]:
    begun = view.restarted_from
    return [
        str(view.run),
        (status_words(view.status), STATUS_STYLE.get(view.status, "")),
        "—" if begun is None else f"{begun.get('name')}-{begun.get('count')} ({begun.get('type')})",
        when(view.started_at, now_ms),
        took(view.started_at, view.ended_at, now_ms),
        one_line(error_words(view.error), _SHOWN) or "—",
    ]
