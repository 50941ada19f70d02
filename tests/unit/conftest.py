"""How the unit tests' properties are searched."""

import os

from hypothesis import settings

settings.register_profile(
    "unit",
    deadline=None,
    max_examples=100,
    # A gate that fails must fail for everybody.
    derandomize="CI" in os.environ,
)
settings.load_profile("unit")
