"""A payment, its operations, and every step that moves them."""
