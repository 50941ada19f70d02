"""Tests of `runtime` without servers."""
