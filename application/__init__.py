"""The use cases: one module each, functions that take what they need by keyword."""
