"""A peer: dramatiq with each payment in MongoDB, as durable as ``durable_celery``."""
