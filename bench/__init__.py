"""Throughput and CPU per payment, beside a service written in an afternoon.

Run it by ``make bench`` or ``python -m bench --help``. It imports nothing of the
product, starts it by its command line and calls it over HTTP.
"""
