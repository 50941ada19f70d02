"""The programs that carry payments out: Celery workers, beat and exporter."""
