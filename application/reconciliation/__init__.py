"""Compares the movements at a provider with the stored payments."""
