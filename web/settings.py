"""The settings only the web room has; what other rooms read too is in `orchestrator.settings`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestrator.errors import SettingsError


class WebSettings(BaseSettings):
    """`WebSettings.load()` reads ORCHESTRATOR_* variables and `.env`."""

    model_config = SettingsConfigDict(
        env_prefix="ORCHESTRATOR_", env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    auth: Literal["tokens", "loopback", "none"] | None = Field(
        default=None,
        description="tokens: every request needs an access token (`orchestrator tokens create`), the default of "
        "`orchestrator web`. loopback: none is needed, and only this machine is answered, the default of "
        "`orchestrator dev`. none: everybody may do everything.",
    )
    allow_remote: bool = Field(
        default=False,
        description="The same as auth `none`, where auth is not set: for a server behind something that checks who calls.",
    )
    max_request_bytes: int | None = Field(
        default=None,
        ge=1024,
        description="The largest request body, others get a 413. By default 4 times the payload limit.",
    )
    web_threads: int = Field(
        default=16, ge=1, le=512, description="How many requests the production server answers at the same time."
    )

    @property
    def who(self) -> Literal["tokens", "loopback", "none"]:
        """Who is answered, as set."""
        return self.auth or ("none" if self.allow_remote else "loopback")

    @property
    def open_to_others(self) -> bool:
        """Whether other machines may be answered at all."""
        return self.who != "loopback"

    def for_deployment(self) -> WebSettings:
        """Closed, unless it is said otherwise."""
        return self if self.auth or self.allow_remote else self.model_copy(update={"auth": "tokens"})

    @classmethod
    def load(cls) -> WebSettings:
        try:
            return cls()
        except ValidationError as error:
            wrong = "; ".join(f"ORCHESTRATOR_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
            raise SettingsError(f"The web settings are not valid. {wrong}.") from None
