"""The API's calls. Each one parses, calls a use case and renders."""
