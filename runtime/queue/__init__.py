"""Wake-up messages through Celery and Redis."""
