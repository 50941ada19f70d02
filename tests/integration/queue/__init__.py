"""Tests of the wake-up queue on a real Redis."""
