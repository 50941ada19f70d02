"""Compares what a provider moved with what is stored."""
