"""How the unit tests' properties are searched."""

import os

from hypothesis import settings

# A breaker that fails must fail for everybody, so it tries the same examples each time.
settings.register_profile("unit", deadline=None, max_examples=100, derandomize=True)
# HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("explore", deadline=None, max_examples=3000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "unit"))
