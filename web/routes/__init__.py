"""The API's calls: each parses, calls a use case, and renders."""
