"""The floor: the least code that does the same durable writes and calls, in groups.

It inserts, claims and settles in MongoDB and calls Stripe, by hand and without a
framework above gunicorn. It checks nothing, tries nothing again, finds no lost wake-up
and has no API to read a payment by. Its CPU is what the work itself costs in Python.
"""
