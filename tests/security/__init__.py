"""Attacks on the intake, and the encryption at rest."""
