"""What the use cases promise, with fakes at the ports alone."""
