"""Tests of the fakes in `tests.support`."""
