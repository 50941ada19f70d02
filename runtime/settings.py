"""Everything a process is told from outside: one frozen object, read once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from domain.submission import Mode

STRIPE_LIVE: Final = "https://api.stripe.com"
PAYPAL_LIVE: Final = "https://api-m.paypal.com"
PAYPAL_SANDBOX: Final = "https://api-m.sandbox.paypal.com"
#: What the simulators are given where no credentials are set.
SIMULATOR_SECRET: Final = "sk_test_simulator"
SIMULATOR_CLIENT: Final = "simulator"


class SettingsError(Exception):
    """A setting is missing or contradicts another; the process must not start."""


def setting(
    name: str,
    default: object,
    help: str,
    *,
    read: Callable[[str], object] = str,
    secret: bool = False,
) -> Any:
    """A field that the environment variable ``PAYMENTS_<name>`` sets."""
    metadata = {"name": f"PAYMENTS_{name}", "help": help, "read": read}
    return field(
        default=default, repr=not secret, metadata={**metadata, "secret": secret}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Addresses are URLs, times are seconds."""

    home: Path = setting(
        "HOME", Path(".payments"), "Data folder of the embedded servers", read=Path
    )
    mode: Mode = setting("MODE", Mode.TEST, "test or live", read=Mode)
    host: str = setting("HTTP_HOST", "127.0.0.1", "Address the API listens on")
    port: int = setting("HTTP_PORT", 8000, "Port the API listens on", read=int)
    metrics_host: str = setting(
        "METRICS_HOST", "127.0.0.1", "Address the metrics listen on"
    )
    metrics_port: int = setting(
        "METRICS_PORT",
        0,
        "Port of this process's metrics; 0 picks a free one (web serves its own)",
        read=int,
    )
    redis_url: str = setting(
        "REDIS_URL", "", "Broker; unset: an embedded one", secret=True
    )
    mongo_url: str = setting(
        "MONGO_URL", "", "Database; unset: an embedded one", secret=True
    )
    database: str = setting("MONGO_DATABASE", "payments", "Name of the database")
    encryption_keys: str = setting(
        "ENCRYPTION_KEYS",
        "",
        "Fernet keys, newest first, comma between; unset: a file in the home",
        secret=True,
    )
    pepper: str = setting(
        "PEPPER",
        "",
        "Secret that API keys are hashed with; unset: a file in the home",
        secret=True,
    )
    stripe_api_base: str = setting(
        "STRIPE_API_BASE", "", "Stripe's address; unset: the simulator"
    )
    stripe_secret_key: str = setting(
        "STRIPE_SECRET_KEY", SIMULATOR_SECRET, "Stripe's API key", secret=True
    )
    paypal_api_base: str = setting(
        "PAYPAL_API_BASE", "", "PayPal's address; unset: the simulator"
    )
    paypal_client_id: str = setting(
        "PAYPAL_CLIENT_ID", SIMULATOR_CLIENT, "PayPal's client id"
    )
    paypal_client_secret: str = setting(
        "PAYPAL_CLIENT_SECRET", SIMULATOR_CLIENT, "PayPal's client secret", secret=True
    )
    web_threads: int = setting(
        "WEB_THREADS", 64, "Requests one web process handles at once", read=int
    )
    worker_slots: int = setting(
        "WORKER_SLOTS", 100, "Provider calls one worker process has open", read=int
    )
    log_format: str = setting(
        "LOG_FORMAT", "", "json or text; unset: text on a terminal"
    )
    log_level: str = setting("LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR")

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """The settings that ``environment`` names.

        Raises SettingsError, naming the variable, where one cannot be used.
        """
        given: dict[str, object] = {}
        for item in fields(cls):
            name = item.metadata["name"]
            text = environment.get(name, "")
            if not text:
                continue
            try:
                given[item.name] = item.metadata["read"](text)
            except ValueError:
                raise SettingsError(f"{name} cannot be {text!r}") from None
        settings = cls(**given)  # type: ignore[arg-type]  # each field has its reader
        settings._check()
        if environment.get("STRIPE_LOG"):
            raise SettingsError(
                "STRIPE_LOG makes Stripe's library print what it sends. Unset it"
            )
        return settings

    def environment(self) -> dict[str, str]:
        """The variables that make another process read these settings."""
        return {
            item.metadata["name"]: str(value)
            for item in fields(self)
            if (value := getattr(self, item.name)) != ""
        }

    def require(self, *names: str) -> None:
        """Raises SettingsError where a field of ``names`` is not set."""
        for item in fields(self):
            if item.name in names and not getattr(self, item.name):
                raise SettingsError(
                    f"{item.metadata['name']} is not set. {item.metadata['help']}."
                    " Set it, or start everything with `payments up`."
                )

    def _check(self) -> None:
        """Real money goes to real addresses only, and play money never does."""
        if self.log_format not in ("", "json", "text"):
            raise SettingsError("PAYMENTS_LOG_FORMAT must be json or text")
        live = self.stripe_secret_key.startswith(("sk_live_", "rk_live_"))
        for name in ("stripe_api_base", "paypal_api_base", "redis_url", "mongo_url"):
            url = getattr(self, name)
            if url and not urlsplit(url).hostname:
                raise SettingsError(f"PAYMENTS_{name.upper()} is not a URL")
        if self.mode is Mode.LIVE:
            self._check_live(live)
        elif live:
            raise SettingsError(
                "PAYMENTS_STRIPE_SECRET_KEY is a live key, but PAYMENTS_MODE is test"
            )
        elif self.paypal_api_base.rstrip("/") == PAYPAL_LIVE:
            raise SettingsError(
                "PAYMENTS_PAYPAL_API_BASE is the live one, but PAYMENTS_MODE is test"
            )
        elif (
            self.stripe_api_base.rstrip("/") == STRIPE_LIVE
            and self.stripe_secret_key == SIMULATOR_SECRET
        ):
            raise SettingsError("Stripe needs a key: set PAYMENTS_STRIPE_SECRET_KEY")
        elif (
            self.paypal_api_base.rstrip("/") == PAYPAL_SANDBOX
            and self.paypal_client_secret == SIMULATOR_CLIENT
        ):
            raise SettingsError(
                "PayPal needs credentials: set PAYMENTS_PAYPAL_CLIENT_ID and"
                " PAYMENTS_PAYPAL_CLIENT_SECRET"
            )

    def _check_live(self, live_key: bool) -> None:
        if not live_key:
            raise SettingsError(
                "PAYMENTS_MODE is live, but PAYMENTS_STRIPE_SECRET_KEY is no live key"
            )
        if self.stripe_api_base.rstrip("/") != STRIPE_LIVE:
            raise SettingsError(
                f"a live key goes to {STRIPE_LIVE} only: set PAYMENTS_STRIPE_API_BASE"
            )
        if self.paypal_api_base.rstrip("/") != PAYPAL_LIVE:
            raise SettingsError(
                f"live payments go to {PAYPAL_LIVE} only: set PAYMENTS_PAYPAL_API_BASE"
            )
        if self.paypal_client_secret == SIMULATOR_CLIENT:
            raise SettingsError(
                "live PayPal needs credentials: set PAYMENTS_PAYPAL_CLIENT_SECRET"
            )
