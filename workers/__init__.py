"""Carry payments out: Celery tasks, and the beat that finds lost work."""
