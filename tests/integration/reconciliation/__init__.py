"""Reconciliations with the simulators, on real MongoDB and Redis."""
