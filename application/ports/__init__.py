"""The protocols that the use cases depend on, by subject."""
