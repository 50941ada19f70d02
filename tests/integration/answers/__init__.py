"""Tests of each row of docs/providers.md, over HTTP."""

import pytest

pytest.register_assert_rewrite("tests.support.answer_rows")
