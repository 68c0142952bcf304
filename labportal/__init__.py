"""The project itself. Loads the Celery application, so that shared tasks bind to it."""

from labportal.celery import app as celery_app

__all__ = ["celery_app"]
