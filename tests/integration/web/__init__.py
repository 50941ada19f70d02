"""Tests of the web process on real servers."""
