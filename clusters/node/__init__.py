"""The node of the carrier `queue`: the ordinary agent beside a Celery worker, without Django."""
