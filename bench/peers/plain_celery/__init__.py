"""A peer: the payment service that a good engineer writes in an afternoon.

Flask takes the payment and answers 202 once the task is in Redis; a Celery worker
calls Stripe's SDK with an idempotency key. It is written and tuned as well as its
design allows, and is not part of the product. Without a database it promises less: a
loss of Redis is final, no client can read an outcome, and only Stripe's memory of the
key keeps a repeated request from charging twice.
"""
