"""Tests of the provider adapters without servers."""
