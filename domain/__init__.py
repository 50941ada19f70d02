"""Payments, their states and the rules that change them: pure, no I/O, no clock."""
