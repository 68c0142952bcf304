"""The portal's clock: the one place to patch when a test needs another time."""

from datetime import datetime

from django.utils import timezone


def now() -> datetime:
    return timezone.now()
