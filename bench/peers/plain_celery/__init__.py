"""A peer: a payment service that a good engineer writes in an afternoon.

Flask takes the payment and answers 202 once the task is in Redis; a Celery worker
calls Stripe's SDK with an idempotency key. It is written and tuned as well as its
design allows, to be measured beside the product, and is no part of it. There is no
database, so it promises less: a loss of Redis is final, no client can read an
outcome, and a repeated key is charged once only because Stripe remembers it.
"""
