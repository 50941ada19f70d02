"""A peer: Celery with each payment in MongoDB.

The web side inserts the payment before its 202, the task records the send before the
call and the outcome after it, and each write waits for the journal. That is the
durability of the product's writes. A task that Redis loses is not found again: the
sweep that would find it costs nothing per payment, so the peer goes without.
"""
