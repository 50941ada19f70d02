"""The commands of `payments`, by subject."""
