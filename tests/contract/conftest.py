"""A check of shapes in all contract tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import published_shapes


@pytest.fixture(autouse=True)
def shapes() -> Iterator[None]:
    """Hold the providers' answers and webhooks to the published shapes, if known."""
    published_shapes.take_problems()
    yield
    assert published_shapes.take_problems() == []
