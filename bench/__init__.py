"""Throughput and CPU per payment, compared with a plain Celery service.

Run it by ``make bench`` or ``python -m bench --help``. It imports nothing of the
product, starts it by its command line and calls it over HTTP.
"""
