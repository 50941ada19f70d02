"""What the providers' answers mean: each row of docs/providers.md, over HTTP."""

import pytest

pytest.register_assert_rewrite("tests.support.answer_rows")
