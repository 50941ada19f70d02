"""Settings: their errors, and the separation of live and test mode."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from domain.payments.submission import Mode
from runtime.settings import PAYPAL_LIVE, STRIPE_LIVE, Settings, SettingsError

LIVE = {
    "PAYMENTS_MODE": "live",
    "PAYMENTS_STRIPE_API_BASE": STRIPE_LIVE,
    "PAYMENTS_STRIPE_SECRET_KEY": "sk_live_1",
    "PAYMENTS_PAYPAL_API_BASE": PAYPAL_LIVE,
    "PAYMENTS_PAYPAL_CLIENT_ID": "id",
    "PAYMENTS_PAYPAL_CLIENT_SECRET": "secret",
}
#: 32 bytes of zero, and some others.
KEY = "A" * 43 + "="
OTHER_KEY = "B" * 43 + "="
SIMULATOR = "http://127.0.0.1:12111"


def test_settings_default_to_a_local_test_stack() -> None:
    settings = Settings.read({})
    assert (settings.mode, settings.port) == (Mode.TEST, 8000)
    assert (settings.redis_url, settings.mongo_url) == ("", "")


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.read({"PAYMENTS_HTTP_PORT": ""}).port == 8000


def test_another_process_reads_the_same_settings_from_the_environment() -> None:
    settings = Settings.read(
        {**LIVE, "PAYMENTS_HOME": "/srv/p", "PAYMENTS_PEPPER": "x" * 16}
    )
    assert settings.home == Path("/srv/p")
    assert Settings.read(settings.environment()) == settings


def test_printed_settings_show_no_secrets() -> None:
    settings = Settings.read({**LIVE, "PAYMENTS_MONGO_URL": "mongodb://u:pass@db/"})
    for secret in ("sk_live_1", "u:pass", "client_secret"):
        assert secret not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PAYMENTS_HTTP_PORT", "http"),
        ("PAYMENTS_HTTP_PORT", "65536"),
        ("PAYMENTS_METRICS_PORT", "-1"),
        ("PAYMENTS_HTTP_HOST", "payments.example"),
        ("PAYMENTS_METRICS_HOST", "127.0.0"),
        ("PAYMENTS_MODE", "prod"),
        ("PAYMENTS_LOG_FORMAT", "xml"),
        ("PAYMENTS_LOG_LEVEL", "loud"),
        ("PAYMENTS_WEB_THREADS", "0"),
        ("PAYMENTS_WORKER_SLOTS", "1001"),
        ("PAYMENTS_REDIS_URL", "localhost"),
        ("PAYMENTS_REDIS_URL", "mongodb://db"),
        ("PAYMENTS_REDIS_URL", "redis://db:99999/0"),
        ("PAYMENTS_MONGO_URL", "redis://db"),
        ("PAYMENTS_MONGO_DATABASE", "pay.ments"),
        ("PAYMENTS_MONGO_DATABASE", "admin"),
        ("PAYMENTS_STRIPE_API_BASE", "ftp://stripe"),
        ("PAYMENTS_PAYPAL_API_BASE", "https://"),
        ("PAYMENTS_ENCRYPTION_KEYS", f"{KEY},short"),
        ("PAYMENTS_ACCOUNT_ENCRYPTION_KEYS", "short"),
        ("PAYMENTS_PEPPER", "fifteen letters"),
        ("PAYMENTS_HOME", __file__),
        ("PAYMENTS_HOME", f"{__file__}/below"),
    ],
)
def test_an_invalid_value_is_refused_with_its_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as refused:
        Settings.read({name: value})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PAYMENTS_HTTP_PORT", "65535"),
        ("PAYMENTS_HTTP_HOST", "::1"),
        ("PAYMENTS_REDIS_URL", "rediss://u:p@db:6380/1"),
        ("PAYMENTS_MONGO_URL", "mongodb://a:1,b:2/?replicaSet=rs0"),
        ("PAYMENTS_MONGO_URL", "mongodb+srv://u:p@cluster.example/"),
    ],
)
def test_a_valid_address_is_passed_on_unchanged(name: str, value: str) -> None:
    assert Settings.read({name: value}).environment()[name] == value


def test_encryption_keys_are_passed_on_unchanged() -> None:
    given = {
        "PAYMENTS_ENCRYPTION_KEYS": f"{KEY}, {KEY}",
        "PAYMENTS_ACCOUNT_ENCRYPTION_KEYS": OTHER_KEY,
    }
    assert given.items() <= Settings.read(given).environment().items()


@pytest.mark.parametrize(
    ("payments", "accounts", "wrong"),
    [
        (KEY, "", "PAYMENTS_ACCOUNT_ENCRYPTION_KEYS: set both"),
        ("", KEY, "PAYMENTS_ENCRYPTION_KEYS: set both"),
        (KEY, f"{OTHER_KEY},{KEY}", "must differ from"),
    ],
)
def test_payments_and_accounts_need_different_keys(
    payments: str, accounts: str, wrong: str
) -> None:
    """Each process would generate a missing key."""
    given = {
        "PAYMENTS_ENCRYPTION_KEYS": payments,
        "PAYMENTS_ACCOUNT_ENCRYPTION_KEYS": accounts,
    }
    with pytest.raises(SettingsError, match=wrong) as refused:
        Settings.read(given)
    assert KEY not in str(refused.value)


def test_localhost_and_a_log_level_in_small_letters_are_accepted() -> None:
    settings = Settings.read(
        {"PAYMENTS_HTTP_HOST": "localhost", "PAYMENTS_LOG_LEVEL": "debug"}
    )
    assert (settings.host, settings.log_level) == ("127.0.0.1", "DEBUG")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PAYMENTS_PEPPER", "hunter2"),
        ("PAYMENTS_ENCRYPTION_KEYS", "hunter2"),
        ("PAYMENTS_ACCOUNT_ENCRYPTION_KEYS", "hunter2"),
        ("PAYMENTS_MONGO_URL", "mongo://u:hunter2@db"),
        ("PAYMENTS_REDIS_URL", "http://u:hunter2@db"),
    ],
)
def test_an_invalid_secret_is_not_repeated(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as refused:
        Settings.read({name: value})
    assert "hunter2" not in str(refused.value)


def test_a_misspelt_name_is_refused_with_a_suggestion() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.read({"PAYMENTS_HTTP_PROT": "8001"})
    assert str(refused.value) == (
        "PAYMENTS_HTTP_PROT is not a setting. Did you mean PAYMENTS_HTTP_PORT?"
    )


def test_variables_of_clients_and_of_kubernetes_are_ignored() -> None:
    others = {
        "PAYMENTS_URL": "http://127.0.0.1:1",
        "PAYMENTS_API_KEY": "key",
        "PAYMENTS_SPECS": "/specs",
        "PAYMENTS_SERVICE_HOST": "10.0.0.1",
        "PAYMENTS_PORT": "tcp://10.0.0.1:80",
        "PAYMENTS_WEB_SERVICE_PORT_HTTP": "80",
        "PAYMENTS_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert Settings.read(others) == Settings.read({})


@pytest.mark.parametrize(
    "module", ["web", "workers", "workers.beat", "workers.exporter"]
)
@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"PAYMENTS_LOG_LEVEL": "loud"},
            ("Error: PAYMENTS_LOG_LEVEL", "DEBUG, INFO, WARNING, ERROR, not 'loud'"),
        ),
        ({}, ("Error: PAYMENTS_", "_URL is not set. ")),
    ],
    ids=["wrong", "missing"],
)
def test_a_process_with_wrong_settings_prints_one_line_and_exits_with_2(
    module: str, variables: dict[str, str], message: tuple[str, str]
) -> None:
    others = {k: v for k, v in os.environ.items() if not k.startswith("PAYMENTS_")}
    ended = subprocess.run(
        [sys.executable, "-m", module],
        env={**others, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith(message[0]) and message[1] in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_missing_required_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="PAYMENTS_MONGO_URL is not set"):
        Settings.read({}).require("mongo_url")


def test_live_mode_with_live_addresses_and_keys_is_accepted() -> None:
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
def test_live_mode_refuses_a_simulator_and_a_test_key(
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
def test_test_mode_refuses_a_live_account(change: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        Settings.read(change)


def test_the_request_log_of_stripes_library_is_refused() -> None:
    with pytest.raises(SettingsError, match="STRIPE_LOG"):
        Settings.read({"STRIPE_LOG": "debug"})
