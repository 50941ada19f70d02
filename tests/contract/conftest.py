"""What holds for all contract tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import published_shapes


@pytest.fixture(autouse=True)
def shapes() -> Iterator[None]:
    """Hold the providers' answers and webhooks to the published shapes, if known."""
    published_shapes.taken()
    yield
    assert published_shapes.taken() == []
