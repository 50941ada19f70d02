"""What `persistence` promises, against a real replica set."""
