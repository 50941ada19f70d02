"""Tests of `local_stack` without servers."""
