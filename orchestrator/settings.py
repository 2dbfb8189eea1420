"""What can be set from outside, in one table of fields with their meanings; it opens nothing."""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestrator.errors import InvalidRetention, SettingsError
from orchestrator.retention import kept_ms
from orchestrator.serialization import MAX_PAYLOAD_BYTES

PREFIX = "ORCHESTRATOR_"
MAX_INSTANCE_BYTES = 1024**3
DEFAULT_DATABASE = "sqlite:///.orchestrator/orchestrator.db"


def _env(name: str, *well_known: str) -> AliasChoices:
    return AliasChoices(PREFIX + name, name.lower(), *well_known)


class Settings(BaseSettings):
    """Read from the environment (`ORCHESTRATOR_…`) and from `.env`; a keyword argument wins over both."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True, populate_by_name=True, env_ignore_empty=True
    )

    app: str | None = Field(None, description="The application: a file (app.py) or a module (package.module).")
    database_url: str = Field(
        DEFAULT_DATABASE,
        validation_alias=_env("DATABASE_URL", "DATABASE_URL"),
        description="sqlite:///path/to/file.db or postgresql://user:password@host/name.",
    )
    redis_url: str | None = Field(
        None, validation_alias=_env("REDIS_URL", "REDIS_URL"), description="Redis or Valkey: resumptions and watchers."
    )
    broker_url: str | None = Field(
        None,
        validation_alias=_env("BROKER_URL", "CELERY_BROKER_URL"),
        description="Celery's broker; the Redis URL if not given.",
    )
    queue_prefix: str = Field(
        "orchestrator",
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$",
        description="Begins the names of our queues and keys on the broker; deployments that share one need different ones.",
    )
    doorbell: str = Field("tasks.doorbell:CeleryDoorbell", description="What announces work, as module:class.")
    events_url: str | None = Field(
        None, description="Where lifecycle events of instances are published, as a broker's URL; nowhere by default."
    )
    events_queue: str = Field("orchestrator.events", description="The queue that lifecycle events are published to.")
    events_keep: int = Field(
        100_000, gt=0, description="Events that wait for a broker that is away; beyond it the oldest are dropped."
    )
    listen_url: str | None = Field(
        None,
        description="Where `orchestrator listen` takes messages from, as a broker's URL; Celery's broker if not given.",
    )
    listen_queue: str = Field("orchestrator.inbox", description="The queue that `orchestrator listen` takes them from.")
    answer_memory_ms: int = Field(
        86_400_000, gt=0, description="How long the answer to a request with an Idempotency-Key is kept."
    )
    audit_retention: str = Field("400 days", description='How long the log of changes is kept. "forever" keeps it.')
    message_memory_ms: int = Field(
        7 * 24 * 3_600_000,
        gt=0,
        description="A message that comes again within it is known by its id and does nothing.",
    )
    sqlite_synchronous: str = Field(
        "FULL",
        pattern="^(FULL|NORMAL)$",
        description="FULL: a committed step survives power loss. NORMAL is faster and may lose the last ones then.",
    )
    max_payload_bytes: int = Field(MAX_PAYLOAD_BYTES, gt=0, description="Limit of params, results, outputs, events.")
    max_instance_bytes: int = Field(
        MAX_INSTANCE_BYTES, gt=0, description="Limit of what the streams of one instance may hold together."
    )

    host: str = Field("127.0.0.1", description="Where the pages listen.")
    port: int = Field(8787, ge=0, le=65535, validation_alias=_env("PORT", "PORT"), description="Port of the pages.")

    api_url: str | None = Field(None, description="A server to work on, for the command line and `RemoteClient`.")
    api_token: SecretStr | None = Field(None, description="The token for that server.")
    api_insecure: bool = Field(False, description="Speak http, not https, to a server on another machine.")

    concurrency: int = Field(16, gt=0, description="Slots of one worker process.")
    async_concurrency: int = Field(
        256, gt=0, description="`async def` bodies of one instance at work at once, in place."
    )
    budget_ms: int = Field(1000, ge=0, description="How long a worker goes on with one instance while others wait.")
    moment_ms: int = Field(
        1000, gt=0, description="A body that runs longer is written down as running and no longer holds its instance."
    )
    lease_ms: int = Field(12_000, ge=100, description="A worker without a heartbeat for so long is taken for dead.")
    heartbeat_ms: int = Field(3000, ge=10, description="How often a worker says it is alive.")
    pump_ms: int = Field(1000, ge=5, description="How often a process looks for due and unanswered work at least.")
    horizon_ms: int = Field(10_000, ge=0, description="Timers due within it are handed to the broker as countdowns.")
    wake_ahead_ms: int = Field(
        2000,
        ge=0,
        description="Instances that sleep until one moment are taken up so long before it, to go on at once.",
    )
    grace_ms: int = Field(5000, ge=0, description="An unanswered doorbell is rung again after it.")
    stall_ms: int = Field(
        30_000, gt=0, description="A `run` that goes on for so long between two things it asks for is taken for stuck."
    )
    stop_ms: int = Field(
        5000,
        ge=0,
        description="How long bodies may go on when a worker is told to stop; then their steps are for others.",
    )
    max_deaths: int = Field(
        10, gt=0, description="An instance that so many workers died with, one after another, ends with an error."
    )
    catch_up_ms: int = Field(
        86_400_000,
        ge=0,
        description="A moment of a schedule that nobody was there for is made up for if it was the last one and so long ago.",
    )
    creation_rate: int | None = Field(
        None,
        gt=0,
        description="How many instances a second may be created or restarted, over all; no limit if not given.",
    )
    creation_rate_per_workflow: int | None = Field(None, gt=0, description="The same, of each workflow.")
    success_retention: str = Field(
        "30 days",
        description="How long complete and terminated instances are kept, unless they or their workflow say so.",
    )
    error_retention: str = Field("30 days", description='The same of errored ones. "forever" keeps them.')
    aggregates_retention: str = Field(
        "400 days",
        description='How long the numbers of an hour are kept: long enough to compare with last year\'s. Or "forever".',
    )
    hot_instances: int = Field(256, ge=0, description="Instances a process keeps alive between two wake-ups.")
    max_abandoned: int = Field(
        8, gt=0, description="Bodies past their timeout a process carries before it is recycled."
    )

    @field_validator("success_retention", "error_retention", "aggregates_retention", "audit_retention")
    @classmethod
    def _check_retention(cls, given: str) -> str:
        try:
            kept_ms(given, "it")
        except InvalidRetention as error:
            raise ValueError(error.message) from None
        return given

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, problem['loc']))}: {problem['msg']} (given: {problem['input']!r})"
                for problem in error.errors()
            )
            raise SettingsError(f"A setting is not valid: {problems}.") from None

    def keep_ms(self, *, errored: bool) -> int:
        """How long an ended instance is kept if nothing else says so."""
        return kept_ms(self.error_retention if errored else self.success_retention, "retention") or 0

    @property
    def keep_aggregates_ms(self) -> int:
        return kept_ms(self.aggregates_retention, "retention") or 0

    @property
    def keep_audit_ms(self) -> int:
        return kept_ms(self.audit_retention, "audit_retention") or 0

    @property
    def celery_broker_url(self) -> str | None:
        return self.broker_url or self.redis_url
