"""Tests of `application.reconciliation`."""
