"""Throughput, CPU and latency of the product, compared with peers and a floor.

Run it by ``make bench`` or ``python -m bench --help``. It imports nothing of the
product, starts it by its command line and calls it over HTTP.
"""
