"""What the provider adapters do without any server."""
