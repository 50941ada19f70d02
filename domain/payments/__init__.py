"""Payments, their operations, and every step that changes them."""
