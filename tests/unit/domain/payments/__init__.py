"""Tests of `domain.payments`."""
