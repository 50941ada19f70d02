"""The HTTP intake: a thin Flask application in front of the use cases."""
