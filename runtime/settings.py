"""The settings of a process: one frozen object, read once from the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from domain.payments.submission import Mode, ProviderName
from runtime import settings_checks as checks

STRIPE_LIVE: Final = "https://api.stripe.com"
PAYPAL_LIVE: Final = "https://api-m.paypal.com"
PAYPAL_SANDBOX: Final = "https://api-m.sandbox.paypal.com"
#: Credentials for the simulators if none are set.
SIMULATOR_SECRET: Final = "sk_test_simulator"
SIMULATOR_CLIENT: Final = "simulator"
#: Prefixes of Stripe's live keys.
LIVE_KEYS: Final = ("sk_live_", "rk_live_")
#: Calls a second. Stripe allows an account 100 in live mode and 25 in a sandbox, but 25
#: at each endpoint in both, unless it raises that limit. Every charge uses the same
#: endpoint (docs.stripe.com/rate-limits).
STRIPE_RATE: Final = 25


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
    """A field that the environment variable ``PAYMENTS_<name>`` sets.

    ``read`` raises ValueError with a predicate: the variable's name is its subject.
    """
    metadata = {"name": f"{checks.PREFIX}{name}", "help": help, "read": read}
    return field(
        default=default, repr=not secret, metadata={**metadata, "secret": secret}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Addresses are URLs, times are seconds."""

    home: Path = setting(
        "HOME",
        Path(".payments"),
        "Data folder of the embedded servers",
        read=checks.folder,
    )
    mode: Mode = setting(
        "MODE",
        Mode.TEST,
        "test or live",
        read=lambda text: Mode(checks.one_of(*Mode)(text)),
    )
    host: str = setting(
        "HTTP_HOST", "127.0.0.1", "Address the API listens on", read=checks.host
    )
    port: int = setting("HTTP_PORT", 8000, "Port the API listens on", read=checks.port)
    metrics_host: str = setting(
        "METRICS_HOST",
        "127.0.0.1",
        "Address that metrics and health are served on, for monitoring only",
        read=checks.host,
    )
    metrics_port: int = setting(
        "METRICS_PORT",
        0,
        "Port of this process's metrics, and of the web's /healthz and /readyz; 0 picks"
        " a free one, and `payments up` always picks",
        read=checks.port,
    )
    redis_url: str = setting(
        "REDIS_URL",
        "",
        "Broker; unset: an embedded one",
        read=checks.url("redis", "rediss"),
        secret=True,
    )
    mongo_url: str = setting(
        "MONGO_URL",
        "",
        "Database; unset: an embedded one",
        read=checks.url("mongodb", "mongodb+srv"),
        secret=True,
    )
    database: str = setting(
        "MONGO_DATABASE", "payments", "Name of the database", read=checks.database
    )
    encryption_keys: str = setting(
        "ENCRYPTION_KEYS",
        "",
        "Keys that encrypt payments, newest first, separated by commas; unset: a file"
        " in the home",
        read=checks.encryption_keys,
        secret=True,
    )
    account_encryption_keys: str = setting(
        "ACCOUNT_ENCRYPTION_KEYS",
        "",
        "Other keys, which encrypt the credentials of merchants' accounts; set both or"
        " neither",
        read=checks.encryption_keys,
        secret=True,
    )
    pepper: str = setting(
        "PEPPER",
        "",
        "Secret that API keys are hashed with; unset: a file in the home",
        read=checks.pepper,
        secret=True,
    )
    stripe_api_base: str = setting(
        "STRIPE_API_BASE",
        "",
        "Stripe's address; unset: the simulator",
        read=checks.url("https", "http"),
    )
    stripe_secret_key: str = setting(
        "STRIPE_SECRET_KEY", SIMULATOR_SECRET, "Stripe's API key", secret=True
    )
    stripe_webhook_secrets: str = setting(
        "STRIPE_WEBHOOK_SECRETS",
        "",
        "Signing secrets of Stripe's webhooks, separated by commas; unset: webhooks are"
        " refused",
        secret=True,
    )
    stripe_rate: int | None = setting(
        "STRIPE_RATE",
        None,
        "Calls a second to Stripe, of all workers together; 0: no limit; unset:"
        f" {STRIPE_RATE}, and no limit for a simulator",
        read=checks.number(0, 10_000),
    )
    paypal_api_base: str = setting(
        "PAYPAL_API_BASE",
        "",
        "PayPal's address; unset: the simulator",
        read=checks.url("https", "http"),
    )
    paypal_client_id: str = setting(
        "PAYPAL_CLIENT_ID", SIMULATOR_CLIENT, "PayPal's client id"
    )
    paypal_client_secret: str = setting(
        "PAYPAL_CLIENT_SECRET", SIMULATOR_CLIENT, "PayPal's client secret", secret=True
    )
    paypal_webhook_id: str = setting(
        "PAYPAL_WEBHOOK_ID",
        "",
        "PayPal's id of our webhook; unset: webhooks are refused",
    )
    paypal_certificate_hosts: str = setting(
        "PAYPAL_CERTIFICATE_HOSTS",
        "",
        "Hosts of PayPal's signing certificates, separated by commas; unset: PayPal's"
        " API",
    )
    paypal_roots: Path | None = setting(
        "PAYPAL_ROOTS",
        None,
        "PEM file of authorities trusted to sign those certificates; unset: the public"
        " authorities",
        read=checks.file,
    )
    paypal_rate: int = setting(
        "PAYPAL_RATE",
        0,
        "Calls a second to PayPal, of all workers together; 0: no limit, because PayPal"
        " publishes none",
        read=checks.number(0, 10_000),
    )
    provider_proxy: str = setting(
        "PROVIDER_PROXY",
        "",
        "Forward proxy of every call to a provider, http://… or https://…, with its"
        " user name and password if any; unset: none, and HTTPS_PROXY is ignored",
        read=checks.proxy,
        secret=True,
    )
    web_threads: int = setting(
        "WEB_THREADS",
        64,
        "Requests one web process handles at once",
        read=checks.number(1, 1000),
    )
    rate_key: str = setting(
        "RATE_KEY",
        "100000/10 seconds",
        "Requests that an API key may make, or off",
        read=checks.quota,
    )
    rate_merchant: str = setting(
        "RATE_MERCHANT",
        "100000/10 seconds",
        "Requests that all keys of a merchant may make together, or off",
        read=checks.quota,
    )
    rate_address: str = setting(
        "RATE_ADDRESS",
        "10000/10 seconds",
        "Requests without a valid API key that an address may make, or off",
        read=checks.quota,
    )
    rate_webhooks: str = setting(
        "RATE_WEBHOOKS",
        "20000/10 seconds",
        "Webhooks that an address may send, or off",
        read=checks.quota,
    )
    trusted_proxies: str = setting(
        "TRUSTED_PROXIES",
        "",
        "Networks of the proxies in front, separated by commas; their X-Forwarded-For"
        " names the client; unset: it is ignored",
        read=checks.networks,
    )
    worker_slots: int = setting(
        "WORKER_SLOTS",
        100,
        "Provider calls one worker process has open",
        read=checks.number(1, 1000),
    )
    log_format: str = setting(
        "LOG_FORMAT",
        "",
        "json or text; unset: text on a terminal",
        read=checks.one_of("json", "text"),
    )
    log_level: str = setting(
        "LOG_LEVEL",
        "INFO",
        "DEBUG, INFO, WARNING or ERROR",
        read=checks.one_of("DEBUG", "INFO", "WARNING", "ERROR"),
    )

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """Reads the settings in ``environment``.

        Raises SettingsError, which names the variable that cannot be used.
        """
        names = [item.metadata["name"] for item in fields(cls)]
        if wrong := checks.find_unknown(environment, names):
            raise SettingsError(wrong)
        given: dict[str, Any] = {}  # each field has its reader
        for item in fields(cls):
            name = item.metadata["name"]
            text = environment.get(name, "")
            if not text:
                continue
            try:
                given[item.name] = item.metadata["read"](text)
            except ValueError as error:
                raise SettingsError(f"{name} {error}") from None
        settings = cls(**given)
        settings._check()
        if environment.get("STRIPE_LOG"):
            raise SettingsError(
                "STRIPE_LOG makes Stripe's library print its requests. Unset it"
            )
        return settings

    @classmethod
    def of_process(cls, *required: str) -> Settings:
        """This process's settings, with the fields ``required`` set.

        If they cannot be used, it prints one line and exits with 2.
        """
        try:
            settings = cls.read(os.environ)
            settings.require(*required)
        except SettingsError as error:
            print(f"Error: {error}", file=sys.stderr)
            sys.exit(2)
        return settings

    def environment(self) -> dict[str, str]:
        """The variables that make another process read these settings."""
        return {
            item.metadata["name"]: str(value)
            for item in fields(self)
            if (value := getattr(self, item.name)) not in ("", None)
        }

    def rates(self) -> Mapping[str, float]:
        """The limit of calls a second of each own account; 0 is no limit."""
        return {name: row.rate(self) for name, row in PROVIDER_SETTINGS.items()}

    def require(self, *names: str) -> None:
        """Raises SettingsError if a field of ``names`` is not set."""
        for item in fields(self):
            if item.name in names and not getattr(self, item.name):
                raise SettingsError(
                    f"{item.metadata['name']} is not set. Set it, or start everything"
                    " with `payments up`."
                )

    def _check(self) -> None:
        """Checks that the mode fits the addresses and credentials, and the keys."""
        self._check_keys()
        for row in PROVIDER_SETTINGS.values():
            row.check(self)

    def _check_keys(self) -> None:
        """With one of two keys set, processes would each generate the other one."""
        payments = set(checks.listed(self.encryption_keys))
        accounts = set(checks.listed(self.account_encryption_keys))
        if bool(payments) != bool(accounts):
            given, missing = (
                "PAYMENTS_ENCRYPTION_KEYS",
                "PAYMENTS_ACCOUNT_ENCRYPTION_KEYS",
            )
            if accounts:
                given, missing = missing, given
            raise SettingsError(f"{given} is set, but not {missing}: set both")
        if payments & accounts:
            raise SettingsError(
                "PAYMENTS_ACCOUNT_ENCRYPTION_KEYS must differ from"
                " PAYMENTS_ENCRYPTION_KEYS"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """One provider's row: its settings, which are fields of ``Settings``."""

    api_base: str  #: the field of the provider's address
    #: The field that verifies the webhooks of the deployment's own account.
    webhook_secret: str
    rate: Callable[[Settings], float]  #: calls a second; 0: no limit
    #: Raises SettingsError if mode, address and credentials do not fit together.
    check: Callable[[Settings], None]


def _stripe_rate(settings: Settings) -> float:
    if settings.stripe_rate is not None:
        return settings.stripe_rate
    return STRIPE_RATE if settings.stripe_api_base.rstrip("/") == STRIPE_LIVE else 0


def _check_stripe(settings: Settings) -> None:
    live_key = settings.stripe_secret_key.startswith(LIVE_KEYS)
    live_base = settings.stripe_api_base.rstrip("/") == STRIPE_LIVE
    if settings.mode is Mode.LIVE:
        if not live_key:
            raise SettingsError(
                "PAYMENTS_MODE is live, but PAYMENTS_STRIPE_SECRET_KEY is not a live"
                " key"
            )
        if not live_base:
            raise SettingsError(
                f"a live key goes to {STRIPE_LIVE} only: set PAYMENTS_STRIPE_API_BASE"
            )
    elif live_key:
        raise SettingsError(
            "PAYMENTS_STRIPE_SECRET_KEY is a live key, but PAYMENTS_MODE is test"
        )
    elif live_base and settings.stripe_secret_key == SIMULATOR_SECRET:
        raise SettingsError("Stripe needs a key: set PAYMENTS_STRIPE_SECRET_KEY")


def _check_paypal(settings: Settings) -> None:
    base = settings.paypal_api_base.rstrip("/")
    unset = settings.paypal_client_secret == SIMULATOR_CLIENT
    if settings.mode is Mode.LIVE:
        if base != PAYPAL_LIVE:
            raise SettingsError(
                f"live payments go to {PAYPAL_LIVE} only: set PAYMENTS_PAYPAL_API_BASE"
            )
        if unset:
            raise SettingsError(
                "live PayPal needs credentials: set PAYMENTS_PAYPAL_CLIENT_SECRET"
            )
    elif base == PAYPAL_LIVE:
        raise SettingsError(
            "PAYMENTS_PAYPAL_API_BASE is the live address, but PAYMENTS_MODE is test"
        )
    elif base == PAYPAL_SANDBOX and unset:
        raise SettingsError(
            "PayPal needs credentials: set PAYMENTS_PAYPAL_CLIENT_ID and"
            " PAYMENTS_PAYPAL_CLIENT_SECRET"
        )


#: The registry: each provider's settings, by its name.
PROVIDER_SETTINGS: Final[dict[ProviderName, ProviderSettings]] = {
    ProviderName.STRIPE: ProviderSettings(
        api_base="stripe_api_base",
        webhook_secret="stripe_webhook_secrets",
        rate=_stripe_rate,
        check=_check_stripe,
    ),
    ProviderName.PAYPAL: ProviderSettings(
        api_base="paypal_api_base",
        webhook_secret="paypal_webhook_id",
        rate=lambda settings: settings.paypal_rate,
        check=_check_paypal,
    ),
}
#: The fields of the providers' addresses.
API_BASES: Final = tuple(row.api_base for row in PROVIDER_SETTINGS.values())
