"""Hypothesis profiles of the unit tests."""

import os

from hypothesis import settings

# A failure must be reproducible, so that every run has the same examples.
settings.register_profile("unit", deadline=None, max_examples=100, derandomize=True)
# HYPOTHESIS_PROFILE=explore has new examples.
settings.register_profile("explore", deadline=None, max_examples=3000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "unit"))
