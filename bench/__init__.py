"""Throughput and CPU per payment, beside a service that takes an afternoon to write.

Run it by ``make bench`` or ``python -m bench --help``. It imports nothing of the
product: it starts it by its command line and talks to it over HTTP, as anybody would.
"""
