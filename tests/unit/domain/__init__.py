"""What `domain` promises, from its public names alone."""
