"""What each kind of error means to the shell: its exit code and the next command; no error is handled anywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from orchestrator.errors import OrchestratorError

OK = 0
FAILURE = 1
USAGE = 2
NOT_FOUND = 3
CONFLICT = 4
REFUSED = 5
UNREACHABLE = 6
TIMEOUT = 7
INSTANCE_ERRORED = 10
INSTANCE_TERMINATED = 11
APPLICATION_BROKEN = 64
"""Only between `orchestrator dev` and its child: the application does not import, so wait until it is edited."""
INTERRUPTED = 130
BROKEN_PIPE = 141
"""As a shell reports a process that SIGPIPE ended."""


class Remedy(NamedTuple):
    exit_code: int
    next: str
    """What to do, with `{workflow}` and `{instance}` standing for what the command was given."""


_DESCRIBE = "see it: orchestrator instances describe {workflow} {instance}"
_HELP = "see what is accepted: {command} --help"
_DATABASE = "check ORCHESTRATOR_DATABASE_URL (or DATABASE_URL), then: orchestrator db current"
_STEP = "mend the workflow, then: orchestrator instances restart {workflow} {instance}"

REMEDIES: dict[str, Remedy] = {
    "orchestrator": Remedy(FAILURE, _HELP),
    # What callers meet.
    "usage": Remedy(USAGE, _HELP),
    "workflow.not_found": Remedy(NOT_FOUND, "see the workflows there are: orchestrator list"),
    "instance.not_found": Remedy(NOT_FOUND, "see the instances there are: orchestrator instances list {workflow}"),
    "instance.already_exists": Remedy(
        CONFLICT, "see it: orchestrator instances describe {workflow} {instance}, or choose another --id"
    ),
    "instance.invalid_id": Remedy(USAGE, _HELP),
    "workflow.invalid_name": Remedy(USAGE, "see the workflows there are: orchestrator list"),
    "workflow.invalid_event_type": Remedy(USAGE, _HELP),
    "instance.invalid_params": Remedy(USAGE, "correct what was given; {command} --help shows the ways to give it"),
    "step.not_serializable": Remedy(USAGE, "correct what was given; {command} --help shows the ways to give it"),
    "invalid_duration": Remedy(USAGE, _HELP),
    "retention.invalid": Remedy(USAGE, _HELP),
    "workflow.invalid_settings": Remedy(USAGE, _HELP),
    "instance.rate_limited": Remedy(CONFLICT, "wait for as long as it says, then do it again"),
    "schedule.invalid": Remedy(USAGE, _HELP),
    "schedule.already_exists": Remedy(CONFLICT, "see the schedules there are: orchestrator schedules list {workflow}"),
    "schedule.declared": Remedy(CONFLICT, "remove it in the class, or: orchestrator schedules pause {workflow} ID"),
    "schedule.not_found": Remedy(NOT_FOUND, "see the schedules there are: orchestrator schedules list {workflow}"),
    "batch.invalid": Remedy(USAGE, _HELP),
    "version.not_found": Remedy(NOT_FOUND, "see the workflow: orchestrator describe {workflow}"),
    "aggregates.invalid": Remedy(USAGE, _HELP),
    "subscription.invalid": Remedy(USAGE, _HELP),
    "message.not_found": Remedy(NOT_FOUND, "see those there are: orchestrator rejected"),
    "message.invalid": Remedy(USAGE, "see the shape of messages in docs/events.md"),
    "payload.too_large": Remedy(USAGE, "store the data elsewhere and hand over a reference to it"),
    "instance.not_allowed": Remedy(CONFLICT, _DESCRIBE),
    "instance.cannot_restart": Remedy(CONFLICT, _DESCRIBE),
    "instance.run_not_found": Remedy(NOT_FOUND, _DESCRIBE),
    "instance.step_output_corrupt": Remedy(NOT_FOUND, _DESCRIBE),
    "step.not_found": Remedy(NOT_FOUND, _DESCRIBE),
    "instance.result_timeout": Remedy(
        TIMEOUT, "it goes on by itself; see it: orchestrator instances describe {workflow} {instance} --watch"
    ),
    "instance.invalid_output": Remedy(FAILURE, _DESCRIBE),
    "instance.errored": Remedy(INSTANCE_ERRORED, _DESCRIBE),
    "instance.terminated": Remedy(INSTANCE_TERMINATED, _DESCRIBE),
    # What operators meet.
    "setup": Remedy(FAILURE, _HELP),
    "settings": Remedy(USAGE, "correct the setting in the environment or in .env"),
    "application.import": Remedy(FAILURE, "correct the application, or name another with --app or ORCHESTRATOR_APP"),
    "application.duplicate_workflow": Remedy(FAILURE, "give one of the two another name"),
    "database.unavailable": Remedy(UNREACHABLE, _DATABASE),
    "database.behind": Remedy(FAILURE, "orchestrator db upgrade"),
    "database.ahead": Remedy(FAILURE, "install the version of the orchestrator that made it, or a newer one"),
    "broker.unavailable": Remedy(UNREACHABLE, "start the broker, or check ORCHESTRATOR_BROKER_URL"),
    "request.refused": Remedy(USAGE, _HELP),
    "auth.unauthorized": Remedy(REFUSED, "give a token that the server knows: ORCHESTRATOR_API_TOKEN, or --token"),
    "auth.too_many_failures": Remedy(REFUSED, "wait a minute, then give a token that the server knows"),
    "token.not_found": Remedy(NOT_FOUND, "orchestrator tokens list"),
    "auth.forbidden": Remedy(REFUSED, "ask whoever runs the server for a token that may do this"),
    "server.unavailable": Remedy(UNREACHABLE, "check ORCHESTRATOR_API_URL (or --url), and that the server runs"),
    "server.failed": Remedy(UNREACHABLE, "check ORCHESTRATOR_API_URL (or --url), then look into the server's log"),
    "remote.not_installed": Remedy(FAILURE, 'pip install "celery-orchestrator[remote]"'),
    "web.address": Remedy(CONFLICT, "choose another port: {command} --port 8788"),
    "web.remote_bind": Remedy(USAGE, "listen on 127.0.0.1, or ask for tokens with ORCHESTRATOR_AUTH=tokens"),
    "web.server_not_installed": Remedy(FAILURE, 'pip install "celery-orchestrator[server]"'),
    # What workflow authors meet; here only if an error of a step travels all the way to the shell.
    "non_retryable": Remedy(FAILURE, _STEP),
    "fatal": Remedy(FAILURE, _STEP),
    "step.invalid_name": Remedy(FAILURE, _STEP),
    "step.invalid_config": Remedy(FAILURE, _STEP),
    "step.invalid_delay": Remedy(FAILURE, _STEP),
    "step.invalid_stream": Remedy(FAILURE, _STEP),
    "step.oversized_chunk": Remedy(FAILURE, _STEP),
    "step.unsupported_chunk": Remedy(FAILURE, _STEP),
    "instance.storage_limit": Remedy(FAILURE, _STEP),
    "attempt.not_stored": Remedy(FAILURE, _STEP),
    "attempt.stream_over": Remedy(FAILURE, _STEP),
    "step.limit": Remedy(FAILURE, _STEP),
    "step.error": Remedy(FAILURE, _STEP),
    "event.invalid_payload": Remedy(FAILURE, _STEP),
    "workflow.replay_mismatch": Remedy(FAILURE, _STEP),
    "workflow.not_allowed_in_run": Remedy(FAILURE, _STEP),
    "rollback.missing": Remedy(FAILURE, _STEP),
    "rollback.terminated": Remedy(FAILURE, _STEP),
    "attempt.worker_lost": Remedy(FAILURE, _STEP),
    "worker.lease_over": Remedy(UNREACHABLE, _DATABASE),
    "timeout": Remedy(TIMEOUT, _DESCRIBE),
    "timeout.step": Remedy(TIMEOUT, _DESCRIBE),
    "timeout.event": Remedy(TIMEOUT, _DESCRIBE),
}


def remedy_for(error: OrchestratorError) -> Remedy:
    """By the error's code, or by the nearest ancestor's for an error of another room that has no line of its own."""
    codes = (kind.__dict__.get("code") for kind in type(error).__mro__)
    return next(REMEDIES[code] for code in codes if code in REMEDIES)
