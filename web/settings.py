"""The settings only the web room has; what other rooms read too is in `orchestrator.settings`."""

from __future__ import annotations

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestrator.errors import SettingsError


class WebSettings(BaseSettings):
    """`WebSettings.load()` reads ORCHESTRATOR_* variables and `.env`."""

    model_config = SettingsConfigDict(
        env_prefix="ORCHESTRATOR_", env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    allow_remote: bool = Field(
        default=False,
        description="Answer requests from other machines. Whoever can reach the port may then do everything.",
    )
    max_request_bytes: int | None = Field(
        default=None,
        ge=1024,
        description="The largest request body, others get a 413. By default 4 times the payload limit.",
    )
    web_threads: int = Field(
        default=16, ge=1, le=512, description="How many requests the production server answers at the same time."
    )

    @classmethod
    def load(cls) -> WebSettings:
        try:
            return cls()
        except ValidationError as error:
            wrong = "; ".join(f"ORCHESTRATOR_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
            raise SettingsError(f"The web settings are not valid. {wrong}.") from None
