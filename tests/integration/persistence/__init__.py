"""Tests of `persistence` against a real replica set."""
