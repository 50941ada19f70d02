"""Attacks on the intake, and what is readable at rest."""
