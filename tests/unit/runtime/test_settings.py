"""Settings are read once, name what is wrong, and keep real and play money apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.submission import Mode
from runtime.settings import PAYPAL_LIVE, STRIPE_LIVE, Settings, SettingsError

LIVE = {
    "PAYMENTS_MODE": "live",
    "PAYMENTS_STRIPE_API_BASE": STRIPE_LIVE,
    "PAYMENTS_STRIPE_SECRET_KEY": "sk_live_1",
    "PAYMENTS_PAYPAL_API_BASE": PAYPAL_LIVE,
    "PAYMENTS_PAYPAL_CLIENT_ID": "id",
    "PAYMENTS_PAYPAL_CLIENT_SECRET": "secret",
}
SIMULATOR = "http://127.0.0.1:12111"


def test_nothing_set_is_a_stack_for_trying_out() -> None:
    settings = Settings.read({})
    assert (settings.mode, settings.port) == (Mode.TEST, 8000)
    assert (settings.redis_url, settings.mongo_url) == ("", "")


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert Settings.read({"PAYMENTS_HTTP_PORT": ""}).port == 8000


def test_another_process_reads_the_same_from_the_environment_it_is_given() -> None:
    settings = Settings.read(
        {**LIVE, "PAYMENTS_HOME": "/srv/p", "PAYMENTS_PEPPER": "x"}
    )
    assert settings.home == Path("/srv/p")
    assert Settings.read(settings.environment()) == settings


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    settings = Settings.read({**LIVE, "PAYMENTS_MONGO_URL": "mongodb://u:pass@db/"})
    for secret in ("sk_live_1", "u:pass", "client_secret"):
        assert secret not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PAYMENTS_HTTP_PORT", "http"),
        ("PAYMENTS_MODE", "prod"),
        ("PAYMENTS_LOG_FORMAT", "xml"),
        ("PAYMENTS_REDIS_URL", "localhost"),
    ],
)
def test_a_value_that_cannot_be_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.read({name: value})


def test_what_a_process_needs_is_named_where_it_is_missing() -> None:
    with pytest.raises(SettingsError, match="PAYMENTS_MONGO_URL is not set"):
        Settings.read({}).require("mongo_url")


def test_real_money_with_real_addresses_and_keys_starts() -> None:
    assert Settings.read(LIVE).mode is Mode.LIVE


@pytest.mark.parametrize(
    "change",
    [
        {"PAYMENTS_STRIPE_API_BASE": SIMULATOR},
        {"PAYMENTS_PAYPAL_API_BASE": SIMULATOR},
        {"PAYMENTS_STRIPE_API_BASE": ""},
        {"PAYMENTS_STRIPE_SECRET_KEY": "sk_test_1"},
        {"PAYMENTS_PAYPAL_CLIENT_SECRET": ""},
        {"PAYMENTS_MODE": "test"},
    ],
    ids=lambda change: "-".join(map(str, *change.items())),
)
def test_real_money_never_meets_a_simulator_or_a_test_key(
    change: dict[str, str],
) -> None:
    with pytest.raises(SettingsError):
        Settings.read({**LIVE, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"PAYMENTS_STRIPE_SECRET_KEY": "rk_live_1"},
        {"PAYMENTS_PAYPAL_API_BASE": PAYPAL_LIVE},
        {"PAYMENTS_STRIPE_API_BASE": STRIPE_LIVE},
    ],
    ids=lambda change: "-".join(change),
)
def test_play_money_never_meets_a_live_account(change: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        Settings.read(change)


def test_stripes_library_must_not_print_what_it_sends() -> None:
    with pytest.raises(SettingsError, match="STRIPE_LOG"):
        Settings.read({"STRIPE_LOG": "debug"})
