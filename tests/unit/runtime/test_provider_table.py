"""Every provider has a row in each table of the composition root."""

from __future__ import annotations

from cli.provider_options import PROVIDER_OPTIONS
from domain.provider_rules import RULES
from runtime.provider_table import PROVIDERS
from runtime.settings import PROVIDER_SETTINGS, Settings


def test_every_provider_with_rules_has_a_row_in_each_table() -> None:
    for table in (
        PROVIDERS,
        PROVIDER_SETTINGS,
        PROVIDER_OPTIONS,
    ):
        assert list(table) == list(RULES)


def test_the_address_of_every_provider_is_a_field_of_the_settings() -> None:
    fields = Settings()
    for row in PROVIDER_SETTINGS.values():
        assert hasattr(fields, row.api_base) and hasattr(fields, row.webhook_secret)
