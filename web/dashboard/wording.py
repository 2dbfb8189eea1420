"""The words, icons and tones people see for statuses, kinds of steps and actions; tables only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Badge:
    icon: str
    """A symbol in templates/dashboard/_icons.html."""
    word: str
    tone: str
    """A class in app.css; it never says what the word does not."""


@dataclass(frozen=True, slots=True)
class Action:
    name: str
    """As it is spelled in `allowed_actions`."""
    label: str
    did: str
    """The notice afterwards."""
    warning: str = ""
    """What is asked before; where there is none, one press is enough."""
    gentler: str = ""
    """Another button beside it: the same, after the rollback handlers have run."""


STATUSES = {
    "running": Badge("play", "Running", "run"),
    "waiting": Badge("clock", "Waiting", "wait"),
    "queued": Badge("queue", "Queued", "idle"),
    "waitingForPause": Badge("pausing", "Waiting for pause", "wait"),
    "paused": Badge("pause", "Paused", "wait"),
    "rollingBack": Badge("back", "Rolling back", "wait"),
    "errored": Badge("cross", "Errored", "bad"),
    "terminated": Badge("stop", "Terminated", "idle"),
    "complete": Badge("check", "Completed", "good"),
}
"""In the order of lists: what needs a look first."""

STEP_STATUSES = {
    "complete": Badge("check", "Completed", "good"),
    "errored": Badge("cross", "Errored", "bad"),
    "running": Badge("play", "Running", "run"),
    "waiting": Badge("clock", "Waiting", "wait"),
    "queued": Badge("queue", "Queued", "idle"),
    "retrying": Badge("back", "Retrying", "wait"),
}
"""Of steps and of attempts."""

ROLLBACKS = {"complete": Badge("check", "Undone", "good"), "failed": Badge("cross", "Failed", "bad")}
"""How a rollback ended."""

STEP_KINDS = {
    "do": "step",
    "sleep": "sleep",
    "waitForEvent": "wait for event",
    "timer": "timer",
    "rollback": "rollback",
}

ACTIONS = {
    action.name: action
    for action in (
        Action("pause", "Pause", "The instance pauses as soon as its running steps have ended."),
        Action("resume", "Resume", "The instance goes on. Its deadlines moved by the length of the pause."),
        Action(
            "restart",
            "Restart",
            "The instance starts over with the same params.",
            "Every step runs again, with the same id and params. The run so far stays readable.",
        ),
        Action(
            "terminate",
            "Terminate",
            "The instance was terminated.",
            "It stops at once and can't be resumed. Steps that have completed stay stored. Rolling back first undoes them, "
            "newest first, where they have a rollback handler.",
            "Roll back, then terminate",
        ),
        Action(
            "delete",
            "Delete",
            "The instance was deleted.",
            "The instance, its steps and its results are removed for good.",
        ),
    )
}
SEND_EVENT = Action("send_event", "Send event", "The event was sent.")
RESTART_FROM = Action(
    "restart_from",
    "Restart from this step",
    "The instance goes on from that step, in a new run.",
    "What was asked for before it is kept. This step and all after it run again, under new idempotency keys; timers and "
    "events that nobody has taken are forgotten. The run so far stays readable.",
)
SCHEDULE_ACTIONS = {
    action.name: action
    for action in (
        Action("run_schedule", "Run now", "The instance was started, as if the schedule had."),
        Action("pause_schedule", "Pause", "The schedule is paused: it starts nothing until it is resumed."),
        Action("resume_schedule", "Resume", "The schedule goes on with its next moment."),
    )
}
TERMINATE_ALL = Action(
    "terminate_all",
    "Terminate all",
    "All instances there are now are being terminated, in the background.",
    "Every instance that has not ended is terminated, without rolling back, and can't be resumed. Workers do it in the "
    "background; instances started later are not touched.",
)
DELETE_WORKFLOW = Action(
    "delete_workflow",
    "Delete the workflow",
    "The workflow was deleted; its instances are being removed in the background.",
    "The workflow, its schedules and all its instances are removed for good. A worker that still has its class registers "
    "it again when it starts.",
)
NOTICES = {action.name: action.did for action in (*ACTIONS.values(), SEND_EVENT, RESTART_FROM)} | {
    "create": "The instance was started.",
    **{action.name: action.did for action in (*SCHEDULE_ACTIONS.values(), TERMINATE_ALL, DELETE_WORKFLOW)},
}
