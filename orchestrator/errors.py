"""Every error this project raises, under one root with stable codes; it must not import anything of the project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar


class OrchestratorError(Exception):
    """Something went wrong in the orchestrator."""

    code: ClassVar[str] = "orchestrator"

    def __init__(self, message: str | None = None) -> None:
        # The docstring is the default message, so an error always says a whole sentence.
        super().__init__(message if message is not None else (type(self).__doc__ or "").strip())

    @property
    def message(self) -> str:
        return str(self)


# --- what workflow authors meet ---------------------------------------------------------------------------------------


class NonRetryableError(OrchestratorError):
    """The step failed in a way that another attempt can't mend.

    Raise it in a step body: the step fails on this attempt, whatever its retries say.
    """

    code = "non_retryable"

    def __init__(self, message: str = "", name: str = "NonRetryableError") -> None:
        super().__init__(message)
        self.name = name


class WorkflowFatalError(OrchestratorError):
    """The call on `step` is wrong; trying again can't mend it."""

    code = "fatal"


class InvalidStepName(WorkflowFatalError):
    """The step name is not allowed."""

    code = "step.invalid_name"


class InvalidStepConfig(WorkflowFatalError):
    """The step configuration is not valid."""

    code = "step.invalid_config"


class StepLimitExceeded(WorkflowFatalError):
    """The instance has reached its limit of steps."""

    code = "step.limit"


class NotSerializableError(WorkflowFatalError):
    """A value can't be written as JSON."""

    code = "step.not_serializable"


class ReplayMismatch(WorkflowFatalError):
    """The workflow's code no longer does what its recorded history says it did."""

    code = "workflow.replay_mismatch"


class NotAllowedInWorkflow(WorkflowFatalError):
    """`run` may not do I/O or depend on the process it runs in; do this in a step."""

    code = "workflow.not_allowed_in_run"


class InvalidEventPayload(WorkflowFatalError):
    """An event's payload does not fit the type that the wait for it names."""

    code = "event.invalid_payload"


class NonRetryableDelayError(OrchestratorError):
    """The function that gives a step's retry delay gave none."""

    code = "step.invalid_delay"


class RollbackMissing(WorkflowFatalError):
    """A step is to be undone, and the workflow's code no longer gives it a rollback handler."""

    code = "rollback.missing"


class Terminated(OrchestratorError):
    """The instance was terminated; this is what rollback handlers are then told."""

    code = "rollback.terminated"


class InvalidStepReadableStreamError(WorkflowFatalError):
    """A step returned a stream that can't be read."""

    code = "step.invalid_stream"


class OversizedStreamChunkError(InvalidStepReadableStreamError):
    """A step returned a stream with a chunk that is too large."""

    code = "step.oversized_chunk"


class UnsupportedStreamChunkError(InvalidStepReadableStreamError):
    """A step returned a stream of something else than bytes."""

    code = "step.unsupported_chunk"


class StorageLimitExceeded(WorkflowFatalError):
    """The instance holds more bytes than it may."""

    code = "instance.storage_limit"


class WorkflowInternalError(OrchestratorError):
    """What an attempt has come to could not be stored."""

    code = "attempt.not_stored"


class StreamOver(OrchestratorError):
    """The attempt that writes this stream does not count any more."""

    code = "attempt.stream_over"


class WorkflowTimeoutError(OrchestratorError):
    """The execution timed out."""

    code = "timeout"

    @classmethod
    def after(cls, timeout_ms: int) -> WorkflowTimeoutError:
        return cls(f"Execution timed out after {timeout_ms}ms")


class StepTimeoutError(WorkflowTimeoutError):
    """An attempt of a step ran longer than its timeout."""

    code = "timeout.step"


class EventTimeoutError(WorkflowTimeoutError):
    """No event arrived in time."""

    code = "timeout.event"


class PayloadTooLarge(OrchestratorError):
    """A payload is over the size limit."""

    code = "payload.too_large"


class WorkerLostError(OrchestratorError):
    """The worker process died while it ran this attempt."""

    code = "attempt.worker_lost"


class LeaseOver(OrchestratorError):
    """This worker could not reach the database for so long that others may have its work; it starts nothing new."""

    code = "worker.lease_over"


class StepError(OrchestratorError):
    """An error of a class that can't be loaded here came back from a step.

    Its class is made on the fly and carries the name and message of the original.
    """

    code = "step.error"


# --- what callers meet ------------------------------------------------------------------------------------------------


class UsageError(OrchestratorError):
    """The call can't be carried out as it was made."""

    code = "usage"


class WorkflowNotFound(UsageError):
    """No workflow of that name is registered."""

    code = "workflow.not_found"


class InstanceNotFound(UsageError):
    """There is no such instance."""

    code = "instance.not_found"


class InstanceAlreadyExists(UsageError):
    """An instance of this id exists already."""

    code = "instance.already_exists"


class InvalidInstanceId(UsageError):
    """The instance id is not allowed."""

    code = "instance.invalid_id"


class InvalidWorkflowName(UsageError):
    """The workflow name is not allowed."""

    code = "workflow.invalid_name"


class InvalidEventType(UsageError):
    """The event type is not allowed."""

    code = "workflow.invalid_event_type"


class InvalidParams(UsageError):
    """The params do not fit the workflow's type."""

    code = "instance.invalid_params"


class InvalidDuration(UsageError):
    """The duration can't be read."""

    code = "invalid_duration"


class InvalidRetention(UsageError):
    """How long ended instances are to be kept can't be read."""

    code = "retention.invalid"


class InvalidBatch(UsageError):
    """The batch can't be carried out as it was made; nothing of it was done."""

    code = "batch.invalid"


class StepNotFound(UsageError):
    """The instance has not come to such a step."""

    code = "step.not_found"


class StepOutputCorrupt(UsageError):
    """The output of the step is not there any more."""

    code = "instance.step_output_corrupt"


class CannotRestart(UsageError):
    """The instance can't be restarted from there."""

    code = "instance.cannot_restart"


class RunNotFound(UsageError):
    """The instance has no run of that number."""

    code = "instance.run_not_found"


class InvalidWorkflowSettings(UsageError):
    """The settings of the workflow can't be read."""

    code = "workflow.invalid_settings"


class RateLimited(UsageError):
    """Instances are created faster than it is allowed."""

    code = "instance.rate_limited"

    def __init__(self, message: str | None = None, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class InvalidSchedule(UsageError):
    """The schedule can't be read."""

    code = "schedule.invalid"


class ScheduleAlreadyExists(UsageError):
    """The workflow has this schedule already."""

    code = "schedule.already_exists"


class ScheduleDeclared(UsageError):
    """The schedule is declared by the workflow's class, and would be back with the next worker."""

    code = "schedule.declared"


class ScheduleNotFound(UsageError):
    """There is no such schedule."""

    code = "schedule.not_found"


class ActionNotAllowed(UsageError):
    """The instance's status does not allow this action."""

    code = "instance.not_allowed"

    def __init__(self, action: str, status: str, allowed: Sequence[str], message: str | None = None) -> None:
        allowed_now = ", ".join(allowed) or "none"
        super().__init__(
            message or f"Cannot {action} an instance that is {status}; actions allowed now: {allowed_now}."
        )
        self.action = action
        self.status = status
        self.allowed = list(allowed)


class VersionNotFound(UsageError):
    """The workflow has no such version."""

    code = "version.not_found"


class InvalidAggregates(UsageError):
    """The numbers can't be grouped like that."""

    code = "aggregates.invalid"


class InvalidMessage(UsageError):
    """The message does not ask for anything that can be done."""

    code = "message.invalid"


class InvalidSubscription(UsageError):
    """Invalid Workflow subscription options."""

    code = "subscription.invalid"


class ResultTimeout(UsageError):
    """The instance did not finish in the time given."""

    code = "instance.result_timeout"


class InvalidOutput(UsageError):
    """The output of an instance does not fit the type it was asked for as."""

    code = "instance.invalid_output"


class InstanceErrored(UsageError):
    """The instance ended with an error."""

    code = "instance.errored"

    def __init__(self, message: str | None = None, *, error: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.error = error


class InstanceTerminated(UsageError):
    """The instance was terminated."""

    code = "instance.terminated"


# --- what operators meet ----------------------------------------------------------------------------------------------


class SetupError(OrchestratorError):
    """The orchestrator is not set up rightly."""

    code = "setup"


class SettingsError(SetupError):
    """A setting is not valid."""

    code = "settings"


class ApplicationImportError(SetupError):
    """The application module can't be imported."""

    code = "application.import"


class DuplicateWorkflow(SetupError):
    """Two workflows have the same name."""

    code = "application.duplicate_workflow"


class DatabaseUnavailable(SetupError):
    """The database can't be reached."""

    code = "database.unavailable"


class SchemaBehind(SetupError):
    """The database schema is older than this version of the code."""

    code = "database.behind"


class SchemaAhead(SetupError):
    """The database schema is newer than this version of the code."""

    code = "database.ahead"


class BrokerUnavailable(SetupError):
    """The message broker can't be reached."""

    code = "broker.unavailable"


class Unauthorized(UsageError):
    """The server wants a token, or the one that was given is unknown, expired or revoked."""

    code = "auth.unauthorized"


class TooManyFailures(UsageError):
    """Too many tokens from this address were wrong; try again later."""

    code = "auth.too_many_failures"


class TokenNotFound(UsageError):
    """There is no such token."""

    code = "token.not_found"


class MessageNotFound(UsageError):
    """There is no such rejected message: it was carried out or deleted meanwhile, or never rejected."""

    code = "message.not_found"


class Forbidden(UsageError):
    """The token does not allow this."""

    code = "auth.forbidden"


# --- what callers over HTTP meet --------------------------------------------------------------------------------------


class RequestRefused(UsageError):
    """The server refuses the request."""

    code = "request.refused"

    def __init__(self, message: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:  # the server's own, for refusals that only a server knows
            vars(self)["code"] = code


class ServerUnavailable(SetupError):
    """The server can't be reached."""

    code = "server.unavailable"


class ServerFailed(SetupError):
    """The server's answer is not one of the orchestrator's interface."""

    code = "server.failed"


class HttpClientNotInstalled(SetupError):
    """The HTTP client needs httpx, which is not installed. Install it: pip install "celery-orchestrator[remote]"."""

    code = "remote.not_installed"
