"""Tests, from the smallest to the largest: unit, integration, contract, e2e."""
