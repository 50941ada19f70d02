"""Tests of `domain`, by its public names alone."""
