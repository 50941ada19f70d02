"""Tests of the commands on real servers."""
