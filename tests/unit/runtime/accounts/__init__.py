"""Tests of `runtime.accounts.registry` without servers."""
