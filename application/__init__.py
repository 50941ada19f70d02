"""The use cases: one module each, functions with keyword dependencies."""
