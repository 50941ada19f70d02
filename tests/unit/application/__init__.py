"""Tests of the use cases, with fakes only at the ports."""
