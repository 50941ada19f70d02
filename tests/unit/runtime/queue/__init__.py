"""Tests of `runtime.queue` without servers."""
