"""The `payments` command: what a person types, and what it says to them."""
