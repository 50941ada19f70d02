"""Tests of failures of a payment, over HTTP on real servers."""
