"""Suites that every implementer of a port passes, and the payments they use."""

import pytest

pytest.register_assert_rewrite(
    "tests.suites.payment_store",
    "tests.suites.payment_reads",
    "tests.suites.payment_requests",
    "tests.suites.setup",
    "tests.suites.replays",
    "tests.suites.inbox",
    "tests.suites.breakers",
    "tests.suites.limiter",
    "tests.suites.statements",
    "tests.suites.accounts",
    "tests.suites.api_keys",
    "tests.suites.merchant_accounts",
    "tests.suites.provider",
    "tests.suites.provider_follow_ups",
)
