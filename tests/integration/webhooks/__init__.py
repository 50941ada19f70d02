"""Tests of the providers' webhooks, over HTTP on real servers."""
