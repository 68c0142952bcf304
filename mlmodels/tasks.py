"""Celery tasks of models: each loads, calls one service, and may run twice without harm."""
