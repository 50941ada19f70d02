"""The HTTP/1.1 server: listener, connections, and WSGI calls."""
