"""What a payment is and what may become of it: pure, no I/O, no clock."""
