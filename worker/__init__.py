"""The Celery worker: takes wake-ups, claims runs, supervises the processes that train. Never imports torch."""
